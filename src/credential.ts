import type { Context } from "koa";
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
 * Finds the credential and looks it up: one statement. Of several cookies the first live one in the
 * order of the sources counts, else the first.
 *
 * @throws BridgeError `invalid-token` for a refused bearer token: never a fall back to the cookie
 */
export async function readCredential(
  ctx: Context,
  mode: Mode,
  presented: readonly InstalledSource[],
  paths: { tokens: TokenPath; legacy: LegacyPath },
): Promise<Credential> {
  const bearer = await paths.tokens.authenticate(ctx);
  if (bearer.kind !== "none") return bearer;
  if (mode === "tokens") return { kind: "none" };
  let first: Credential | undefined;
  for (const source of presented) {
    const found = await paths.legacy.authenticate(ctx, mode, source);
    const credential: Credential = { kind: "legacy", source, ...found };
    if (found.dead === undefined) return credential;
    first ??= credential;
  }
  return first ?? { kind: "none" };
}
