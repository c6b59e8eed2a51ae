import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { check, checkCounters, checkLoad, type Subject } from "../../bench/checks.js";
import { type Credential, headerOf, newSecrets } from "../../bench/credentials.js";

// A small session server of our own: first as it should be, then with one fault each.
const secrets = newSecrets();
const users = [1, 2, 3];
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Faults {
  /** Goes on opening revoked sessions. */
  forgetsRevocation?: boolean;
  /** Does not look at the signature. */
  trusts?: boolean;
  /** Answers from a session that is not the request's own. */
  mixesUp?: boolean;
  /** Lets anybody read anything. */
  opensAll?: boolean;
}

const named = { name: "the server" };

async function subject(credential: Credential, faults: Faults = {}): Promise<Subject> {
  // Made once: they carry the time they were made at.
  const headers = new Map(users.map((user) => [user, headerOf(secrets, credential, user)]));
  const values = new Map([...headers].map(([user, line]) => [line.split(/: (.*)/s)[1]!, user]));
  // What it looks at of a credential when it trusts: all but the signature.
  const unsigned = (value: string) => value.replace(/(\.|\.sig=)[^.]*$/, "");
  const revoked = new Set<number>();
  const ownerOf = (value: string) =>
    values.get(value) ??
    (faults.trusts
      ? [...values].find(([known]) => unsigned(known) === unsigned(value))?.[1]
      : undefined);
  const listener: RequestListener = (request, response) => {
    const { authorization, cookie } = request.headers;
    const owner = ownerOf(authorization ?? cookie ?? "");
    const wanted = Number(request.url?.split("/").at(-1));
    const isEnded = owner === undefined || (revoked.has(owner) && !faults.forgetsRevocation);
    const status = isEnded ? 401 : owner === wanted || faults.opensAll ? 200 : 403;
    response.statusCode = status;
    response.end(JSON.stringify({ userId: faults.mixesUp ? 3 : owner }));
  };
  const server = createServer(listener).listen(0, "127.0.0.1");
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    variant: { ...named, credential },
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    users,
    header: (user) => headers.get(user)!,
    revoke: async (user) => {
      revoked.add(user);
      return true;
    },
  };
}

const signed = [
  "bearer",
  "compas",
  "claims",
  "store-cookie",
  "data-cookie",
  "express-cookie",
] as const;

describe.each(signed)("by %s", (credential) => {
  test("a server that does all of it passes", async () => {
    await expect(check(await subject(credential))).resolves.toBe("refused at once");
  });

  test("one that does not look at the signature fails", async () => {
    await expect(check(await subject(credential, { trusts: true }))).rejects.toThrow(
      /^the server answered \d+ to a tampered credential, not 401\.$/,
    );
  });
});

test("one that opens a revoked session fails", async () => {
  await expect(check(await subject("store-cookie", { forgetsRevocation: true }))).rejects.toThrow(
    "the server answered 200 to a revoked session, not 401.",
  );
});

test("one that opens it for longer than it may fails as well", async () => {
  const late = await subject("store-cookie", { forgetsRevocation: true });
  const variant = { ...late.variant, revocationDelayInMs: 20 };
  await expect(check({ ...late, variant })).rejects.toThrow("to a revoked session");
});

test("one whose sessions cannot be revoked is said to be so", async () => {
  const given = await subject("store-cookie");
  await expect(check({ ...given, revoke: async () => false })).resolves.toBe("cannot revoke");
});

test("one that answers from another session fails", async () => {
  await expect(check(await subject("store-cookie", { mixesUp: true }))).rejects.toThrow(
    `the server answered 200 {"userId":3} to user 1, not 200 and that user.`,
  );
});

test("one that lets a user read another's fails", async () => {
  await expect(check(await subject("store-cookie", { opensAll: true }))).rejects.toThrow(
    "the server answered 200 to one user as another, not 403.",
  );
});

describe("under load", () => {
  const result = { requests: 100, seconds: 1, p50Ms: 1, p99Ms: 2, refused: 0, broken: 0 };

  test("every request is to be answered, and well", () => {
    checkLoad(named, result);
    expect(() => checkLoad(named, { ...result, refused: 2 })).toThrow("refused 2 of 100 requests");
    expect(() => checkLoad(named, { ...result, broken: 3 })).toThrow("left 3 requests unanswered");
    expect(() => checkLoad(named, { ...result, requests: 0 })).toThrow("answered no request");
  });

  test("every answered request is to count once, and none twice", () => {
    checkCounters(named, { answered: 100, counted: 100, underWay: 4 });
    checkCounters(named, { answered: 100, counted: 104, underWay: 4 });
    expect(() => checkCounters(named, { answered: 100, counted: 99, underWay: 4 })).toThrow(
      "the server lost 1 of 100 updates.",
    );
    expect(() => checkCounters(named, { answered: 100, counted: 105, underWay: 4 })).toThrow(
      "the server counted 105 for 100 answered and at most 4 unanswered requests.",
    );
  });
});
