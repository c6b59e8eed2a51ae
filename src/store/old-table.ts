import { coalesce } from "./coalesce.js";
import { type Database, statement } from "./database.js";
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
  /** What the old store would give: undefined for an unknown or expired session. */
  readonly oldValue: unknown;
}

interface Row extends ReadRow {
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
    `select k."key", l."key" is not null as "isLinked", ${linkColumns}, o.${table.value}::text as "oldValue"
    from unnest($1::bytea[], $2::text[]) as k ("key", "id")
    left join "sessionBridgeLink" l on l."key" = k."key"
    left join "sessionStore" s on s."id" = l."session"
    left join ${table.name} o on o.${table.key} = k."id"::${table.keyType} and o.${table.expires} > $3::timestamptz`,
  );
  const lookUp = coalesce(async (pairs) => {
    const keys = pairs.map((pair) => pair.split(" ", 1)[0] ?? "");
    const ids = pairs.map((pair, index) => idOf(table, pair.slice((keys[index]?.length ?? 0) + 1)));
    const rows = await db.rows(read, [
      keys.map((key) => Buffer.from(key, "base64url")),
      ids,
      new Date(),
    ]);
    return new Map(
      rows.map((row) => {
        const link = row.isLinked ? toLink(row) : undefined;
        const oldValue: unknown = row.oldValue === null ? undefined : JSON.parse(row.oldValue);
        const key = row.key.toString("base64url");
        return [pairs[keys.indexOf(key)] ?? "", { link, oldValue }];
      }),
    );
  });
  return (key, legacyKey) => lookUp(`${key} ${legacyKey}`);
}

// PostgreSQL would refuse the whole look-up for one key that it cannot hold.
const idOf = ({ keyType }: OldTable, id: string) =>
  (keyType === "uuid" ? isUuid(id) : !id.includes("\0")) ? id : null;
