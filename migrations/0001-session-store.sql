-- The two tables of a Compas application, by the same names and types, so that both can share them.
create table if not exists "sessionStore" (
  "id" uuid primary key default gen_random_uuid(),
  "checksum" varchar not null,
  "data" jsonb not null,
  "revokedAt" timestamptz,
  "createdAt" timestamptz not null default now(),
  "updatedAt" timestamptz not null default now()
);

-- An access token points at its refresh token; a refresh token points at none.
create table if not exists "sessionStoreToken" (
  "id" uuid primary key default gen_random_uuid(),
  "session" uuid not null references "sessionStore" ("id") on delete cascade,
  "expiresAt" timestamptz not null,
  "refreshToken" uuid references "sessionStoreToken" ("id") on delete cascade,
  "revokedAt" timestamptz,
  "createdAt" timestamptz not null default now()
);

create index if not exists "sessionStoreTokenSessionIdx" on "sessionStoreToken" ("session");
create index if not exists "sessionStoreTokenRefreshTokenIdx" on "sessionStoreToken" ("refreshToken");

-- A lifetime of its own for this session (ctx.session.maxAge); null: the configured lifetime.
alter table "sessionStore" add column if not exists "maxAgeInSeconds" integer;

-- The pair that this refresh token was rotated into, kept so that a repeated refresh within the grace
-- period is answered with the very same pair.
alter table "sessionStoreToken" add column if not exists "successor" jsonb;
