/**
 * The tables of a Compas application that `@compas/store` 0.5.5 works on. The package ships no SQL:
 * names, types, keys and what may be null are those of its entities (`src/structure.js`) and of
 * `migrations/001-compas-store.sql`, `migrations/006-session-store.sql` and
 * `examples/session-handling/migrations/001-compas-init.sql` in github.com/compasjs/compas. Ids are made
 * by PostgreSQL itself instead of the extension uuid-ossp.
 */
export const compasTables = {
  sessionStore: `
    create table "sessionStore" (
      "id" uuid primary key not null default gen_random_uuid(),
      "checksum" varchar not null,
      "data" jsonb not null,
      "revokedAt" timestamptz null,
      "createdAt" timestamptz not null default now(),
      "updatedAt" timestamptz not null default now()
    );
    create table "sessionStoreToken" (
      "id" uuid primary key not null default gen_random_uuid(),
      "session" uuid not null,
      "expiresAt" timestamptz not null,
      "refreshToken" uuid null,
      "revokedAt" timestamptz null,
      "createdAt" timestamptz not null,
      constraint "sessionStoreTokenSessionFk" foreign key ("session")
        references "sessionStore" ("id") on delete cascade,
      constraint "sessionStoreTokenRefreshTokenFk" foreign key ("refreshToken")
        references "sessionStoreToken" ("id") on delete cascade
    );
    create index "sessionStoreTokenSessionIdx" on "sessionStoreToken" ("session");
    create index "sessionStoreTokenRefreshTokenIdx" on "sessionStoreToken" ("refreshToken");`,
  job: `
    create table "job" (
      "id" bigserial primary key not null,
      "isComplete" boolean not null,
      "priority" int not null,
      "retryCount" int not null default 0,
      "name" varchar not null,
      "scheduledAt" timestamptz not null default now(),
      "data" jsonb not null,
      "handlerTimeout" int null,
      "createdAt" timestamptz not null default now(),
      "updatedAt" timestamptz not null default now()
    );
    create index "jobIsCompleteScheduledAtIdx" on "job" ("isComplete", "scheduledAt");
    create index "jobNameIdx" on "job" ("name");
    create index "jobScheduledAtIdx" on "job" ("scheduledAt");`,
};
