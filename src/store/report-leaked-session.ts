import { type Database, statement } from "./database.js";

const findJobTable = statement<{ exists: boolean }>(
  "find-job-table",
  `select to_regclass('"job"') is not null as "exists"`,
);

// As JSON.stringify renders a Date.
const iso = (timestamp: string) =>
  `to_char(${timestamp} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

// $1 session, $2 now. The tokens are reported as they were before the session ended: what ended along
// with it has its time.
const insertJob = statement<{ id: string }>(
  "report-leaked-session",
  `insert into "job" ("isComplete", "handlerTimeout", "priority", "retryCount", "name", "scheduledAt", "data")
  select false, null, 5, 0, 'compas.sessionStore.potentialLeakedSession', $2::timestamptz,
    jsonb_build_object('report', jsonb_build_object('session', jsonb_build_object(
      'id', s."id", 'revokedAt', ${iso('s."revokedAt"')}, 'createdAt', ${iso('s."createdAt"')},
      'updatedAt', ${iso('s."updatedAt"')}, 'tokens', coalesce((
        select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
          'id', t."id", 'createdAt', ${iso('t."createdAt"')},
          'revokedAt', ${iso('nullif(t."revokedAt", s."revokedAt")')}, 'expiresAt', ${iso('t."expiresAt"')}
        )) order by t."createdAt", t."id")
        from "sessionStoreToken" t where t."session" = s."id" and t."refreshToken" is not null), '[]'))))
  from "sessionStore" s where s."id" = $1
  returning "id"`,
);

/**
 * Queues the job by which `@compas/store` reports that a rotated refresh token came back, with the same
 * name and data; nothing in a database without Compas's table `"job"`. Two round trips.
 */
export async function reportLeakedSession(db: Database, sessionId: string): Promise<void> {
  const [table] = await db.rows(findJobTable, []);
  if (table?.exists === true) await db.rows(insertJob, [sessionId, db.now()]);
}
