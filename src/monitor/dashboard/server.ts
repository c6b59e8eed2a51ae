import type { Context, Middleware } from "koa";
import { BridgeError } from "../../errors.js";
import { defaultMode, isMode, type Mode, type ModeOrigin, modes } from "../../mode.js";
import { describe, isFunction, OptionsReader } from "../../options.js";
import type { Database } from "../../store/database.js";
import { changeMode } from "../../store/mode-log.js";
import type { RingKey } from "../../tokens/keys.js";
import type { MigrationStatus } from "../migration-status.js";
import { type Choice, confirmSection, maximumReasonLength } from "./flip-form.js";
import { isSameOrigin, readForm } from "./form-request.js";
import { issueFormToken, verifyFormToken } from "./form-token.js";
import type { Markup } from "./markup.js";
import { elsewhere } from "./mode-words.js";
import { confirmPage, contentSecurityPolicy, fragment, type Message, statusPage } from "./page.js";
import { createRecentStatus, type SeenStatus } from "./recent-status.js";

/** Options of {@link SessionBridge.dashboard}. */
export interface DashboardOptions {
  /**
   * Whether the request may see the page and change the mode: the operator's name, which goes into the audit
   * trail, or `true`. Nothing, `false` and an error are a 403.
   */
  authorize: (ctx: Context) => Operator | Promise<Operator>;
  /** The page's path. Default `"/session-bridge"`. */
  prefix?: string;
}

type Operator = string | boolean | null | undefined;

/** What the page needs of its bridge. */
export interface DashboardBridge {
  readonly db: Database;
  readonly keys: readonly RingKey[];
  readonly modeFrom: ModeOrigin;
  status(): Promise<MigrationStatus>;
  /** Told of what `authorize` throws, and of failures of the database. */
  tell(error: Error): void;
}

const nothingChosen: Choice = { mode: "", reason: "" };
const anonymousOperator = "dashboard";
const maximumNameLength = 100;
const newsForInSeconds = 60;

/**
 * A middleware that serves the page at its path and passes every other request on; `serves` tells which.
 *
 * @throws TypeError that lists every invalid option
 */
export function createDashboard(
  options: DashboardOptions,
  bridge: DashboardBridge,
): { middleware: Middleware; serves: (ctx: Context) => boolean } {
  const { authorize, prefix } = readDashboardOptions(options);
  const { db, keys, modeFrom } = bridge;
  const recent = createRecentStatus(
    () => bridge.status(),
    () => db.now(),
  );

  const serves = ({ path }: Context) => path === prefix || path === `${prefix}/`;

  const middleware: Middleware = async (ctx, next) => {
    if (!serves(ctx)) return next() as Promise<void>;
    protect(ctx);
    const operator = await operatorOf(ctx);
    if (operator === undefined) return refuse(ctx, 403, "You are not allowed to see this page.");
    switch (ctx.method) {
      case "GET":
      case "HEAD":
        return "fragment" in ctx.query ? showFragment(ctx) : show(ctx);
      case "POST":
        if (!isSameOrigin(ctx)) {
          return refuse(ctx, 403, "Only the page itself may send this form. Nothing was changed.");
        }
        return submit(ctx, operator);
      default:
        ctx.set("Allow", "GET, HEAD, POST");
        return refuse(ctx, 405, "Only GET, HEAD and POST are allowed here.");
    }
  };
  return { middleware, serves };

  async function operatorOf(ctx: Context): Promise<string | undefined> {
    try {
      const operator: unknown = await authorize(ctx);
      if (operator === true) return anonymousOperator;
      if (typeof operator === "string") {
        return tidy(operator).slice(0, maximumNameLength) || undefined;
      }
      if (!operator) return undefined;
      // An empty list of rows is no permission.
      throw new TypeError(
        `bridge.dashboard: authorize must give the operator's name, true or false, got ${describe(operator)}`,
      );
    } catch (error) {
      bridge.tell(error as Error);
      return undefined;
    }
  }

  async function showFragment(ctx: Context): Promise<void> {
    const { status, error } = await recent.read();
    if (status === undefined || error !== undefined) {
      const { code, text } = failure(error);
      return refuse(ctx, code, text);
    }
    answer(ctx, 200, fragment(status, flagOf(status), modeFrom));
  }

  async function show(ctx: Context): Promise<void> {
    // What has just been done may not be hidden by what another process remembers.
    const { flipped } = ctx.query;
    const seen = flipped === undefined ? await recent.read() : await recent.readAnew();
    const { mode, from, changedAt } = seen.status?.changes[0] ?? {};
    const isDone = mode !== undefined && mode === flipped && mode !== from && isRecent(changedAt);
    page(ctx, 200, seen, isDone ? { tone: "good", text: done(mode) } : undefined);
  }

  function isRecent(date = new Date(0)): boolean {
    return db.now().getTime() - date.getTime() < newsForInSeconds * 1000;
  }

  async function submit(ctx: Context, operator: string): Promise<void> {
    const field = await readForm(ctx);
    const choice = { mode: field("mode"), reason: tidy(field("reason")) };
    const seen = await recent.readAnew();
    const problem = problemOf(choice, seen.status);
    if (problem !== undefined) return page(ctx, 422, seen, bad(problem), choice);
    if (seen.status === undefined) return page(ctx, 503, seen, undefined, choice);
    const status = seen.status;
    const to = choice.mode as Mode;
    const ask = (code: number, message: Message | undefined) => {
      confirm(ctx, code, { to, reason: choice.reason, operator }, status, message);
    };
    if (seen.error !== undefined) {
      const { code, text } = failure(seen.error);
      return ask(code, bad(`${text} Nothing was changed; try again.`));
    }
    if (field("step") !== "flip") return ask(200, undefined);
    const claims = [operator, to, choice.reason, field("seen")];
    if (!verifyFormToken(keys, claims, field("token"), db.now())) {
      return ask(403, bad("This form was open for too long. Nothing was changed; confirm again."));
    }
    if (field("seen") !== seenOf(status)) {
      return ask(409, bad("The flag was changed meanwhile. Nothing was changed; look again."));
    }
    try {
      await changeMode(db, {
        mode: to,
        defaultMode,
        by: operator,
        ...(choice.reason !== "" && { reason: choice.reason }),
      });
    } catch (error) {
      bridge.tell(error as Error);
      const { code, text } = failure(error);
      return ask(code, bad(`${text} Nothing was changed, as far as is known; try again.`));
    }
    ctx.status = 303;
    ctx.set("Location", `?flipped=${to}`);
    ctx.body = done(to);
  }

  function problemOf({ mode, reason }: Choice, status?: MigrationStatus): string | undefined {
    const how = elsewhere(modeFrom);
    if (how !== undefined) return how;
    if (!isMode(mode)) return `Choose one of ${modes.join(", ")}. Nothing was changed.`;
    if (reason.length > maximumReasonLength) {
      return `The reason has ${reason.length} characters; at most ${maximumReasonLength} are kept. Nothing was changed.`;
    }
    return status !== undefined && flagOf(status) === mode
      ? `The mode is ${mode} already. Nothing was changed.`
      : undefined;
  }

  /** The fleet's flag; where that does not decide, the mode of its processes. */
  function flagOf({ changes, mode }: MigrationStatus): Mode {
    const flag = changes[0]?.mode;
    return modeFrom === "database" && isMode(flag) ? flag : mode;
  }

  function page(
    ctx: Context,
    code: number,
    { status, error }: SeenStatus,
    message: Message | undefined,
    choice = nothingChosen,
  ): void {
    const failed = error && failure(error);
    answer(
      ctx,
      failed?.code ?? code,
      statusPage({
        status,
        mode: status && flagOf(status),
        modeFrom,
        isStale: failed !== undefined,
        message: message ?? (failed && bad(failed.text)),
        choice,
      }),
    );
  }

  function confirm(
    ctx: Context,
    code: number,
    change: { to: Mode; reason: string; operator: string },
    status: MigrationStatus,
    message: Message | undefined,
  ): void {
    const seen = seenOf(status);
    const claims = [change.operator, change.to, change.reason, seen];
    const token = issueFormToken(keys, claims, db.now());
    const section = confirmSection({ ...change, from: flagOf(status), seen, token }, status);
    answer(ctx, code, confirmPage(section, message));
  }
}

/** Which state of the flag a form was made for. */
const seenOf = ({ changes }: MigrationStatus) => changes[0]?.changedAt.toISOString() ?? "";

const bad = (text: string): Message => ({ tone: "bad", text });
const done = (mode: string) =>
  `The mode is ${mode} from now on. Processes follow within about two seconds.`;

function failure(error: unknown): { code: number; text: string } {
  return error instanceof BridgeError
    ? { code: error.status, text: error.message }
    : { code: 503, text: "The database does not answer." };
}

// Neither PostgreSQL nor a log takes every character.
const tidy = (text: string) => text.replace(/\p{Surrogate}|\p{Control}/gu, " ").trim();

function protect(ctx: Context): void {
  ctx.set("Cache-Control", "no-store");
  ctx.set("Content-Security-Policy", contentSecurityPolicy);
  ctx.set("Cross-Origin-Resource-Policy", "same-origin");
  // Without its own origin in it, an older browser could not send the form.
  ctx.set("Referrer-Policy", "same-origin");
  ctx.set("X-Content-Type-Options", "nosniff");
}

function answer(ctx: Context, status: number, html: Markup): void {
  ctx.status = status;
  ctx.type = "html";
  ctx.body = html.text;
}

function refuse(ctx: Context, status: number, sentence: string): void {
  ctx.status = status;
  ctx.type = "text";
  ctx.body = sentence;
}

function readDashboardOptions(options: DashboardOptions): Required<DashboardOptions> {
  const reader = new OptionsReader("bridge.dashboard");
  const { authorize, prefix } = reader.object("options", options, ["authorize", "prefix"]);
  if (!isFunction(authorize)) {
    reader.problem(
      "authorize",
      `must be a function (ctx) => the operator's name, true or false, got ${describe(authorize)}`,
    );
  }
  const path = reader.optional(
    "prefix",
    prefix,
    isPrefix,
    "a path such as /session-bridge",
    "/session-bridge",
  );
  reader.finish();
  return { authorize: authorize as DashboardOptions["authorize"], prefix: path };
}

const isPrefix = (value: unknown) => typeof value === "string" && /^(\/[\w.~-]+)+$/.test(value);
