import { readFileSync } from "node:fs";

/** The triggers that tell of changes, for the option `cache`. */
export const cacheTriggers = {
  name: "cache",
  sql: readFileSync(new URL("../../migrations/cache.sql", import.meta.url), "utf8"),
  /** SQL: whether all of them are there and do their work. */
  arePresent: `(select count(*) = 4 from pg_trigger
    where "tgrelid" in (to_regclass('"sessionStore"'), to_regclass('"sessionStoreToken"'), to_regclass('"sessionBridgeLink"'))
      and "tgname" like 'sessionBridgeCache_' and "tgenabled" in ('O', 'A'))`,
};

/** One round trip. */
export async function hasCacheTriggers(
  query: (text: string) => Promise<{ rows: unknown[] }>,
): Promise<boolean> {
  const { rows } = await query(`select ${cacheTriggers.arePresent} as "arePresent"`);
  return (rows[0] as { arePresent: boolean }).arePresent;
}
