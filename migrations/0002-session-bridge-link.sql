-- Ties a legacy session to its token session. A link without a session is a tombstone: the legacy
-- session has ended and its key is never accepted again.
create table if not exists "sessionBridgeLink" (
  "key" bytea primary key,            -- SHA-256 of source name and legacy key
  "source" varchar not null,
  "session" uuid unique references "sessionStore" ("id") on delete set null,
  "sealedKey" bytea,                  -- the legacy key, AES-256-GCM, for writing through to the old store
  "origin" bytea,                     -- hash of the data cookie that this key has given an id
  "bookkeeping" jsonb,                -- what the old middleware keeps beside the data
  "memberOrder" jsonb,                -- of the data, which jsonb keeps in an order of its own
  "offer" jsonb,                      -- the pair on offer; null once adopted
  "adoptedAt" timestamptz,
  "expiresAt" timestamptz,            -- when the legacy cookie expires, where that is known
  "createdAt" timestamptz not null default now()
);

create index if not exists "sessionBridgeLinkOriginIdx" on "sessionBridgeLink" ("origin")
  where "origin" is not null;
