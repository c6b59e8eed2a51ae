import { type Database, statement } from "./database.js";
import type { LinkRow } from "./links.js";
import type { PairRecord } from "./token-pair.js";

export interface Rotation {
  /** `repeated`: the pair had been given before. */
  readonly outcome: "rotated" | "repeated" | "reused";
  readonly sessionId: string;
  /** The successor pair; null on reuse. */
  readonly pair: PairRecord | null;
  /** What the session was upgraded from; only read by the bridge. */
  readonly link: Pick<LinkRow, "source" | "key" | "sealedKey"> | null;
  /** True for the one refresh that was the session's first use of a token. */
  readonly adopted: boolean;
}

interface RotationRow {
  outcome: "rotated" | "reused";
  session: string;
  successor: PairRecord | null;
  key?: Buffer | null;
  source?: string | null;
  sealedKey?: Buffer | null;
  adopted?: boolean;
}

// $1 presented token, $2 start of the grace period, $3 now, $4 and $5 ids for the new pair,
// $6 now in seconds, $7 and $8 lifetimes in seconds.
//
// `rotated` claims the presented token by its row lock. Who comes second waits, then finds the winner's
// successor in the row and keeps it: coalesce writes back what is there, so neither the pair nor the
// start of the grace period can move. The start is kept with the successor, because @compas/store on the
// same rows moves "revokedAt" with each refresh that it accepts; a token that it rotated first has no
// successor here, and gets one pair, once. A token whose successor is itself rotated is no longer the
// immediate predecessor. `reused` ends the session when a rotated token was not accepted again; it leaves
// "updatedAt", which the report of the leak tells.
const rotate = (withLinks: boolean) => `with rotated as (
    update "sessionStoreToken" t
    set "revokedAt" = coalesce(t."revokedAt", $3::timestamptz),
      "successor" = coalesce(t."successor", jsonb_build_object(
        'accessToken', $4::text, 'refreshToken', $5::text, 'issuedAt', $6::bigint,
        'accessTokenExpiresAt', $6::bigint + least(s."maxAgeInSeconds", $7::int),
        'refreshTokenExpiresAt', $6::bigint + coalesce(s."maxAgeInSeconds", $8::int),
        'rotatedAt', coalesce(t."revokedAt", $3::timestamptz)))
    from "sessionStore" s
    where t."id" = $1::uuid and t."refreshToken" is null and t."expiresAt" > $3::timestamptz
      and (t."revokedAt" is null
        or least(t."revokedAt", (t."successor"->>'rotatedAt')::timestamptz) > $2::timestamptz)
      and not exists (
        select from "sessionStoreToken" n
        where n."id" = (t."successor"->>'refreshToken')::uuid and n."revokedAt" is not null)
      and s."id" = t."session" and s."revokedAt" is null
    returning t."session", t."successor"
  ), issued as (
    insert into "sessionStoreToken" ("id", "session", "expiresAt", "refreshToken", "createdAt")
    select v."id", r."session", to_timestamp((r."successor"->>v."expiry")::bigint), v."refreshToken", $3
    from rotated r, (values
      ($5::uuid, 'refreshTokenExpiresAt', null::uuid), ($4::uuid, 'accessTokenExpiresAt', $5::uuid)
    ) v ("id", "expiry", "refreshToken")
    where r."successor"->>'refreshToken' = $5::text
  ), reused as (
    update "sessionStore" s set "revokedAt" = $3
    from "sessionStoreToken" t
    where t."id" = $1::uuid and t."refreshToken" is null and t."expiresAt" > $3 and t."revokedAt" is not null
      and s."id" = t."session" and s."revokedAt" is null and not exists (select from rotated)
    returning s."id" as "session"
  ), revoked as (
    update "sessionStoreToken" t set "revokedAt" = $3
    from reused where t."session" = reused."session" and t."revokedAt" is null
  )${withLinks ? adoption : ""}
  select o.*${withLinks ? linkColumns : ""}
  from (
    select 'rotated' as "outcome", "session", "successor" from rotated
    union all select 'reused', "session", null from reused
  ) o${withLinks ? linkJoin : ""}`;

const adoption = `, adopted as (
    update "sessionBridgeLink" l set "adoptedAt" = $3, "offer" = null
    from rotated r where l."session" = r."session" and l."adoptedAt" is null
    returning l."session"
  )`;
const linkColumns = `, l."key", l."source", l."sealedKey", exists (select from adopted) as "adopted"`;
const linkJoin = ` left join "sessionBridgeLink" l on l."session" = o."session"`;

const rotateTokens = statement<RotationRow>("rotate-tokens", rotate(false));
const rotateLinkedTokens = statement<RotationRow>("rotate-linked-tokens", rotate(true));

/**
 * Exchanges a refresh token for its successor pair (RFC 6749 section 6, reuse detection as in RFC 9700
 * section 4.14.2). One round trip decides a single winner among all processes. Undefined when the token
 * is unknown or expired, or its session has ended. `withLinks` also notes adoption.
 */
export async function rotateRefreshToken(
  db: Database,
  rotation: {
    refreshTokenId: string;
    graceInSeconds: number;
    accessTokenMaxAgeInSeconds: number;
    refreshTokenMaxAgeInSeconds: number;
    withLinks: boolean;
  },
): Promise<Rotation | undefined> {
  const now = db.now();
  const newAccessToken = db.generateId();
  const [row] = await db.rows(rotation.withLinks ? rotateLinkedTokens : rotateTokens, [
    rotation.refreshTokenId,
    new Date(now.getTime() - rotation.graceInSeconds * 1000),
    now,
    newAccessToken,
    db.generateId(),
    Math.floor(now.getTime() / 1000),
    rotation.accessTokenMaxAgeInSeconds,
    rotation.refreshTokenMaxAgeInSeconds,
  ]);
  if (row === undefined) return undefined;
  const { session: sessionId, successor: pair, key, source, sealedKey } = row;
  if (row.outcome === "reused" || row.adopted === true) db.changes?.note(sessionId);
  const isRepeated = row.outcome === "rotated" && pair?.accessToken !== newAccessToken;
  const outcome = isRepeated ? "repeated" : row.outcome;
  const link = key && source ? { key, source, sealedKey: sealedKey ?? null } : null;
  return { outcome, sessionId, pair, link, adopted: row.adopted === true };
}
