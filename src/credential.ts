import type { Context } from "koa";
import { type AtOnce, goOn } from "./at-once.js";
import type { InstalledSource, LegacyCredential, LegacyPath } from "./legacy/legacy-path.js";
import type { Mode } from "./mode.js";
import type { BearerCredential, TokenPath } from "./tokens/token-path.js";

/** What a request presents to say whose session it wants. A bearer token stands before any cookie. */
export type Credential =
  | Exclude<BearerCredential, { kind: "none" }>
  | ({ readonly kind: "legacy"; readonly source: InstalledSource } & LegacyCredential)
  | { readonly kind: "none" };

/** The sources whose cookie the request carries, valid or not. */
export function presentedSources(
  ctx: Context,
  sources: readonly InstalledSource[],
): InstalledSource[] {
  for (const source of sources) source.prepare?.(ctx);
  return sources.filter((source) => source.isPresented(ctx));
}

/**
 * Finds the credential and looks it up: one statement. Of several cookies the first that opens a session
 * counts, in the order of the sources; to tell, the old store is read of each that is not linked. If none
 * does, it is one whose system can answer it.
 *
 * @throws BridgeError `invalid-token` for a refused bearer token: never a fall back to the cookie
 */
export function readCredential(
  ctx: Context,
  mode: Mode,
  presented: readonly InstalledSource[],
  paths: { tokens: TokenPath; legacy: LegacyPath },
): AtOnce<Credential> {
  return goOn(paths.tokens.authenticate(ctx), (bearer) => {
    if (bearer.kind !== "none") return bearer;
    if (mode === "tokens" || presented.length === 0) return { kind: "none" };
    return readCookies(ctx, mode, presented, paths.legacy);
  });
}

async function readCookies(
  ctx: Context,
  mode: Mode,
  presented: readonly InstalledSource[],
  legacy: LegacyPath,
): Promise<Credential> {
  let closed: (Credential & { kind: "legacy" }) | undefined;
  for (const source of presented) {
    const found = await legacy.authenticate(ctx, mode, source);
    const isReadOnly = source.isReadOnly === true;
    const mustTell = isReadOnly || presented.length > 1;
    const opens = found.dead === undefined && (!mustTell || (await legacy.opens(found)));
    if (opens) return { kind: "legacy", source, ...found };
    if (closed !== undefined && (isReadOnly || closed.source.isReadOnly !== true)) continue;
    // Of the others their own middleware tells.
    const dead = found.dead ?? (isReadOnly ? "missed" : undefined);
    closed = { kind: "legacy", source, request: found.request, dead };
  }
  return closed ?? { kind: "none" };
}
