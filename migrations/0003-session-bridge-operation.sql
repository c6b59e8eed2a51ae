-- What the operator watches: counters by day (UTC), to which every process adds.
create table if not exists "sessionBridgeHit" (
  "day" date not null,
  "counter" varchar not null,
  "source" varchar not null,          -- of the cookie; of requests, the mode; else empty
  "outcome" varchar not null,         -- what became of it; empty where there is one outcome only
  "labels" jsonb not null,            -- the application's own, bounded in number and length
  "count" bigint not null,
  primary key ("day", "counter", "source", "outcome", "labels")
);

-- The processes that serve requests: who follows the flag, and which of their flushes has been counted, so
-- that a flush which is repeated counts once.
create table if not exists "sessionBridgeProcess" (
  "id" uuid primary key,
  "flush" bigint not null,
  "mode" varchar not null,
  "about" jsonb not null,
  "startedAt" timestamptz not null,
  "seenAt" timestamptz not null
);

-- The flag of a fleet. The last row holds; all of them are the audit trail.
create table if not exists "sessionBridgeMode" (
  "id" bigint generated always as identity primary key,
  "mode" varchar not null,
  "brownout" jsonb,
  "changedAt" timestamptz not null,
  "changedBy" varchar not null,
  "reason" varchar
);
