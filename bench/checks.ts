import { setTimeout as sleep } from "node:timers/promises";
import { tamperedHeaders } from "./credentials.js";
import type { LoadResult } from "./load.js";
import type { Variant } from "./variants.js";

/** A variant that answers, with what the checks need to know of it. */
export interface Subject {
  readonly variant: Pick<Variant, "name" | "credential" | "revocationDelayInMs">;
  readonly url: string;
  /** Of sessions that are this variant's own, at least three. The last is revoked. */
  readonly users: readonly number[];
  readonly header: (user: number) => string;
  /** False when sessions of this kind cannot be revoked. */
  readonly revoke: (user: number) => Promise<boolean>;
}

/** What became of a revoked session. */
export type Revocation = "refused at once" | "refused" | "cannot revoke";

/**
 * Sees to it that a variant does what a session is for, before it is measured: answers from the right
 * session, opens none with a tampered credential and none that has been revoked.
 *
 * @throws Error whose message is a sentence on what it does wrong
 */
export async function check(subject: Subject): Promise<Revocation> {
  await checkAnswers(subject);
  await checkTampering(subject);
  return checkRevocation(subject);
}

async function checkAnswers({ variant, url, users, header }: Subject): Promise<void> {
  for (const user of users) {
    const { status, body } = await get(`${url}/read/${user}`, header(user));
    if (status !== 200 || body["userId"] !== user) {
      throw new Error(
        `${variant.name} answered ${status} ${JSON.stringify(body)} to user ${user}, not 200 and that user.`,
      );
    }
  }
}

async function checkTampering({ variant, url, users, header }: Subject): Promise<void> {
  const [user, other] = users as [number, number];
  if (variant.credential === "none") return;
  const foreign = await get(`${url}/read/${other}`, header(user));
  if (foreign.status !== 403) {
    throw new Error(`${variant.name} answered ${foreign.status} to one user as another, not 403.`);
  }
  for (const tampered of tamperedHeaders(variant.credential, header(user), header(other))) {
    for (const path of [`/read/${user}`, `/read/${other}`]) {
      const { status } = await get(url + path, tampered);
      if (status !== 401) {
        throw new Error(`${variant.name} answered ${status} to a tampered credential, not 401.`);
      }
    }
  }
}

async function checkRevocation(subject: Subject): Promise<Revocation> {
  const { variant, url, users, header, revoke } = subject;
  const user = users.at(-1)!;
  if (!(await revoke(user))) return "cannot revoke";
  const delayInMs = variant.revocationDelayInMs ?? 0;
  const deadline = Date.now() + delayInMs;
  for (;;) {
    const { status } = await get(`${url}/read/${user}`, header(user));
    if (status === 401) return delayInMs === 0 ? "refused at once" : "refused";
    if (Date.now() >= deadline) {
      throw new Error(`${variant.name} answered ${status} to a revoked session, not 401.`);
    }
    await sleep(5);
  }
}

/** Every request of a load has been answered from its own session. */
export function checkLoad({ name }: Pick<Variant, "name">, result: LoadResult): void {
  const { requests, refused, broken } = result;
  if (requests === 0) throw new Error(`${name} answered no request under load.`);
  if (refused > 0)
    throw new Error(`${name} refused ${refused} of ${requests} requests under load.`);
  if (broken > 0) throw new Error(`${name} left ${broken} requests unanswered under load.`);
}

/**
 * Every answered request has counted once, and of those that were under way when a load ended, so that
 * nobody read their answers, none has counted twice.
 */
export function checkCounters(
  { name }: Pick<Variant, "name">,
  { answered, counted, underWay }: { answered: number; counted: number; underWay: number },
): void {
  if (counted < answered) {
    throw new Error(`${name} lost ${answered - counted} of ${answered} updates.`);
  }
  if (counted > answered + underWay) {
    const most = `${answered} answered and at most ${underWay} unanswered requests`;
    throw new Error(`${name} counted ${counted} for ${most}.`);
  }
}

async function get(url: string, header: string) {
  const [name, value] = header.split(/: (.*)/s) as [string, string];
  const response = await fetch(url, { headers: { [name]: value } });
  const text = await response.text();
  const body = text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : {};
  return { status: response.status, body };
}
