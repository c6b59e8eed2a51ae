import { coalesce } from "./coalesce.js";
import { type Database, type Pool, statement } from "./database.js";
import { type Link, linkColumns, type ReadRow, toLink } from "./links.js";
import { isUuid } from "./uuid.js";

/** A table of an old store beside the bridge's own; all names are quoted as SQL wants them. */
export interface OldTable {
  readonly name: string;
  readonly key: string;
  readonly keyType: "uuid" | "varchar";
  /** The column with the session, as json or jsonb. */
  readonly value: string;
  /** The column with the time from which on a session is not given any more. */
  readonly expires: string;
}

/** What one look-up finds of a legacy key. */
export interface LinkAndRow {
  readonly link: Link | undefined;
  /** What the old store would give, as JSON: null for an unknown or expired session. */
  readonly oldValue: string | null;
}

interface Row extends Omit<ReadRow, "key"> {
  position: number;
  isLinked: boolean;
  oldValue: string | null;
}

/**
 * Reads a link by its key (base64url) together with the row of the old store, by the legacy key. One
 * round trip, shared by all requests of one turn of the loop.
 */
export function linkAndRowReader(
  db: Database,
  table: OldTable,
): (key: string, legacyKey: string) => Promise<LinkAndRow | undefined> {
  const read = statement<Row>(
    "read-links-and-rows",
    `select k."position"::integer, l."key" is not null as "isLinked", ${linkColumns}, o.${table.value}::text as "oldValue"
    from unnest($1::bytea[], $2::text[]) with ordinality as k ("key", "id", "position")
    left join "sessionBridgeLink" l on l."key" = k."key"
    left join "sessionStore" s on s."id" = l."session"
    left join ${table.name} o on o.${table.key} = k."id"::${table.keyType} and o.${table.expires} > $3::timestamptz`,
  );
  const lookUp = coalesce(async (pairs) => {
    const keys = pairs.map((pair) => Buffer.from(pair.slice(0, keyLength), "base64url"));
    const ids = pairs.map((pair) => idOf(table, pair.slice(keyLength)));
    const rows = await db.rows(read, [keys, ids, new Date()]);
    return new Map(
      rows.map((row) => {
        const { position, isLinked, oldValue } = row;
        return [pairs[position - 1] ?? "", { link: isLinked ? toLink(row) : undefined, oldValue }];
      }),
    );
  });
  return (key, legacyKey) => lookUp(key + legacyKey);
}

/** SQL: joins the row `o` of a table as long as it is as it was read, for {@link unchangedUpgrader}. */
export const unchangedRow = (table: OldTable) => (id: string, value: string, now: string) =>
  `${table.name} o on o.${table.key} = ${id}::${table.keyType}
        and o.${table.value}::text = ${value} and o.${table.expires} > ${now}::timestamptz`;

// Of SHA-256 in base64url.
const keyLength = 43;

// PostgreSQL would refuse the whole look-up for one key that it cannot hold.
const idOf = ({ keyType }: OldTable, id: string) =>
  (keyType === "uuid" ? isUuid(id) : !id.includes("\0")) ? id : null;

/** One page of a table, in the order of the keys. */
export interface KeyPage {
  readonly keys: readonly string[];
  /** Where the next page begins; null when this one is the last. */
  readonly cursor: string | null;
}

const pageSize = 2000;
const firstKey = { uuid: "00000000-0000-0000-0000-000000000000", varchar: "" };

// A page is bounded by the rows it looks at, however few of them are wanted.
const keyPage = (
  name: string,
  { name: table, key, keyType, expires }: OldTable,
  isWanted: string,
) =>
  statement<KeyPage>(
    name,
    `with page as (
      select o.${key} as "key", o.${expires} as "expires" from ${table} o
      where o.${key} > $1::${keyType} order by o.${key} limit $2
    )
    select coalesce(array_agg(page."key"::text order by page."key")
        filter (where page."expires" > $3::timestamptz${isWanted}), '{}') as "keys",
      case when count(*) = $2 then (select "key"::text from page order by "key" desc limit 1) end as "cursor"
    from page`,
  );

/**
 * Lists the live sessions of a table beside the bridge's own that no link knows, page by page. One round
 * trip for each 2000 rows of the table.
 */
export function unlinkedKeys(
  db: Database,
  source: string,
  table: OldTable,
): AsyncGenerator<readonly string[]> {
  const page = keyPage(
    "read-unlinked-keys",
    table,
    ` and not exists (select from "sessionBridgeLink" l
        where l."key" = sha256($4::bytea || convert_to(page."key"::text, 'UTF8')))`,
  );
  const prefix = Buffer.from(`${source}\0`);
  return pagesOf(table, async (cursor) => {
    const [row] = await db.rows(page, [cursor, pageSize, new Date(), prefix]);
    return row;
  });
}

/** Runs one statement and gives its first row. */
export type FirstRow = (text: string, values: unknown[]) => Promise<unknown>;

/** For a pool. */
export const firstRowBy =
  (pool: Pool): FirstRow =>
  async (text, values) =>
    (await pool.query({ text, values })).rows[0];

/** Lists the live sessions of a table in whatever database. One round trip for each 2000 rows. */
export async function* keysOfTable(query: FirstRow, table: OldTable): AsyncGenerator<string> {
  const { text } = keyPage("read-keys", table, "");
  const pages = pagesOf(table, async (cursor) => {
    return (await query(text, [cursor, pageSize, new Date()])) as KeyPage | undefined;
  });
  for await (const keys of pages) yield* keys;
}

async function* pagesOf(
  { keyType }: OldTable,
  read: (cursor: string) => Promise<KeyPage | undefined>,
): AsyncGenerator<readonly string[]> {
  let cursor: string | null = firstKey[keyType];
  while (cursor !== null) {
    const page: KeyPage | undefined = await read(cursor);
    if (page !== undefined && page.keys.length > 0) yield page.keys;
    cursor = page?.cursor ?? null;
  }
}

/** Reads live sessions of a table beside the bridge's own, by legacy key. One round trip. */
export async function readOldRows(
  db: Database,
  table: OldTable,
  keys: readonly string[],
): Promise<Map<string, unknown>> {
  const read = statement<{ key: string; value: string }>(
    "read-old-rows",
    `select o.${table.key}::text as "key", o.${table.value}::text as "value" from ${table.name} o
    where o.${table.key} = any($1::${table.keyType}[]) and o.${table.expires} > $2::timestamptz`,
  );
  const rows = await db.rows(read, [keys, new Date()]);
  return new Map(rows.map(({ key, value }) => [key, JSON.parse(value) as unknown]));
}
