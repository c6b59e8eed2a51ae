import { type Pool, statement } from "./database.js";

const select = statement<{ data: unknown }>(
  "read-compas-session",
  `select "data" from "session" where "id" = $1::uuid and "expires" > $2`,
);

const upsert = statement<never>(
  "write-compas-session",
  `insert into "session" ("id", "expires", "data", "createdAt", "updatedAt")
  values ($1::uuid, $2, $3::jsonb, now(), now())
  on conflict ("id") do update
    set "expires" = excluded."expires", "data" = excluded."data", "updatedAt" = now()`,
);

const remove = statement<never>(
  "delete-compas-session",
  `delete from "session" where "id" = $1::uuid`,
);

const removeExpired = statement<never>(
  "delete-expired-compas-sessions",
  `delete from "session" where "expires" < $1`,
);

/** The data of a session that has not expired. One round trip, like each of these. */
export async function readCompasSession(pool: Pool, id: string): Promise<unknown> {
  const { rows } = await pool.query({ text: select.text, values: [id, new Date()] });
  return (rows as { data: unknown }[])[0]?.data;
}

export async function writeCompasSession(
  pool: Pool,
  session: { id: string; expires: Date; data: unknown },
): Promise<void> {
  const { id, expires, data } = session;
  await pool.query({ text: upsert.text, values: [id, expires, JSON.stringify(data)] });
}

export async function deleteCompasSession(pool: Pool, id: string): Promise<void> {
  await pool.query({ text: remove.text, values: [id] });
}

export async function deleteExpiredCompasSessions(pool: Pool): Promise<void> {
  await pool.query({ text: removeExpired.text, values: [new Date()] });
}
