import type { Context, Next } from "koa";
import { type AtOnce, goOn } from "./at-once.js";
import type { BridgeParts } from "./bridge-parts.js";
import { type Credential, presentedSources, readCredential } from "./credential.js";
import type { LegacyOutcome, PresentedCredential } from "./events.js";
import { isBrownedOut } from "./legacy/browned-out.js";
import type { InstalledSource } from "./legacy/legacy-path.js";
import { LegacyRequest } from "./legacy/legacy-request.js";
import type { Mode } from "./mode.js";
import { adoptSession } from "./store/links.js";
import { noCredential } from "./tokens/token-path.js";

interface BridgedRequest {
  readonly ctx: Context;
  readonly next: Next;
  readonly mode: Mode;
  /** The sources whose cookies it carries. */
  readonly presented: readonly InstalledSource[];
}

/**
 * Gives what serves a request by the mode and by what it presents, and tells of both when it has been served,
 * however that went. `deprecation` are headers of the answer to a cookie; what `isUncounted` is no part of the
 * migration.
 */
export function createServing(
  parts: BridgeParts,
  deprecation: Readonly<Record<string, string>>,
  isUncounted: (ctx: Context) => boolean,
) {
  const { db, environment, events, flag, monitor, offers, paths, sources } = parts;

  return (
    mode: Mode,
    ctx: Context,
    next: Next,
    told: (mode: Mode, credential: PresentedCredential) => void,
  ): AtOnce<void> => {
    const presented = presentedSources(ctx, sources);
    const request = { ctx, next, mode, presented };
    // A rehearsal must not keep out whoever can end it.
    const isSpared = mode === "tokens" || isUncounted(ctx);
    const isOut = !isSpared && isBrownedOut(ctx, presented, flag.brownout, db.now());
    const found = readCredential(ctx, isOut ? "tokens" : mode, presented, paths);
    return goOn(found, async (credential) => {
      try {
        if (isOut && credential.kind === "none") await serveBrownedOut(request);
        else await serve(request, credential);
      } finally {
        told(mode, credential.kind);
      }
    });
  };

  function serve(request: BridgedRequest, credential: Credential): Promise<void> {
    const { ctx, next, mode, presented } = request;
    switch (credential.kind) {
      case "bearer":
        return serveBearer(request, credential);
      case "invalid":
        count(ctx, presented[0], "redundant");
        return paths.tokens.run(ctx, next, credential);
      case "legacy":
        return serveLegacy(request, credential);
      case "none":
        if (mode === "tokens") drop(ctx, presented);
        return serveNew(ctx, next, mode);
    }
  }

  async function serveBearer(
    { ctx, next, mode, presented }: BridgedRequest,
    credential: Credential & { kind: "bearer" },
  ): Promise<void> {
    const { id, link, adoptedAt } = credential.row;
    if (link !== null && adoptedAt === null) await adopt(id, link);
    count(ctx, presented[0], "redundant");
    const left = presented.filter(({ name }) => link === null || name === link.source);
    try {
      await paths.tokens.run(ctx, next, credential);
    } finally {
      if (left.length > 0) await leave(ctx, mode, left);
    }
  }

  // As in mode `tokens`, but it only rehearses: the cookie has to work again afterwards. Unless its owner
  // has left, who could not tell why.
  async function serveBrownedOut({ ctx, next, mode, presented }: BridgedRequest): Promise<void> {
    for (const source of presented) count(ctx, source, "dropped", true);
    await serveNew(ctx, next, "tokens").finally(() => leave(ctx, mode, presented));
  }

  // A cookie that came beside the session which the handler has ended may open another one: of somebody who
  // logged in anew in a brownout, the one from before it.
  async function leave(ctx: Context, mode: Mode, presented: readonly InstalledSource[]) {
    if (!paths.tokens.isLoggedOut(ctx)) return;
    // By then the old store may be gone: what is refused anyway is not looked for.
    if (mode !== "tokens") await paths.legacy.endPresented(ctx, mode, presented);
    else if (!ctx.headerSent) for (const source of presented) source.clear(ctx);
  }

  async function serveNew(ctx: Context, next: Next, mode: Mode): Promise<void> {
    const first = sources.find(({ isReadOnly }) => isReadOnly !== true);
    if (mode === "tokens" || mode === "drain" || first === undefined) {
      return paths.tokens.run(ctx, next, noCredential);
    }
    const request = new LegacyRequest(environment, ctx, mode, first);
    await paths.legacy.run(request, first, next);
    await offers.make(request);
  }

  async function serveLegacy(
    { ctx, next, mode, presented }: BridgedRequest,
    credential: Credential & { kind: "legacy" },
  ): Promise<void> {
    const { source, request } = credential;
    if (credential.dead !== undefined && (mode === "drain" || source.isReadOnly === true)) {
      count(ctx, source, credential.dead);
      return serveNew(ctx, next, mode);
    }
    try {
      await paths.legacy.run(request, source, next);
    } finally {
      const outcome = paths.legacy.outcomeOf(credential);
      count(ctx, source, outcome);
      if (outcome === "hit" && !ctx.headerSent) markDeprecated(ctx);
      const others = presented.filter((other) => other !== source);
      if (request.isLoggedOut) await paths.legacy.endPresented(ctx, mode, others);
    }
    await offers.make(request);
  }

  function drop(ctx: Context, presented: readonly InstalledSource[]): void {
    for (const source of presented) {
      source.clear(ctx);
      count(ctx, source, "dropped");
    }
  }

  async function adopt(sessionId: string, { source }: { source: string }): Promise<void> {
    if (await adoptSession(db, sessionId)) events.emit("adopted", { source, sessionId });
  }

  function count(
    ctx: Context,
    source: InstalledSource | undefined,
    outcome: LegacyOutcome,
    isBrownout = false,
  ): void {
    if (source === undefined || isUncounted(ctx)) return;
    monitor.tellCookie(ctx, source.name, outcome, isBrownout);
  }

  function markDeprecated(ctx: Context): void {
    for (const [name, value] of Object.entries(deprecation)) ctx.append(name, value);
  }
}
