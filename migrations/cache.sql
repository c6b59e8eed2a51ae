-- Only for the option cache: whatever changes a session that a process may have cached is told to those that
-- listen, whoever changes it. PostgreSQL lets such commits through one after the other.
drop function if exists "sessionBridgeTellChange"() cascade;

create function "sessionBridgeTellChange"() returns trigger language plpgsql as $$
begin
  if TG_OP = 'TRUNCATE' then
    perform pg_notify('sessionBridgeChange', '');
  elsif TG_TABLE_NAME = 'sessionStore' then
    perform pg_notify('sessionBridgeChange', old."id"::text);
  else
    perform pg_notify('sessionBridgeChange', old."session"::text);
  end if;
  return null;
end
$$;

-- A session that has ended is in no cache. One that is deleted takes its tokens along.
create trigger "sessionBridgeCache1" after update on "sessionStore"
  for each row when (old."revokedAt" is null)
  execute function "sessionBridgeTellChange"();

-- Sessions are read by access tokens, so that a refresh tells nothing. A token that expired is in no cache; the
-- day is for clocks that differ. A clean-up deletes older ones.
create trigger "sessionBridgeCache2" after update or delete on "sessionStoreToken"
  for each row when (
    old."refreshToken" is not null and old."revokedAt" is null
    and old."expiresAt" > now() - interval '1 day')
  execute function "sessionBridgeTellChange"();

create trigger "sessionBridgeCache3" after truncate on "sessionStoreToken"
  for each statement execute function "sessionBridgeTellChange"();

-- What a session was upgraded from is cached with it.
create trigger "sessionBridgeCache4" after update on "sessionBridgeLink"
  for each row when (
    old."session" is not null
    and (old."session", old."adoptedAt", old."bookkeeping")
      is distinct from (new."session", new."adoptedAt", new."bookkeeping"))
  execute function "sessionBridgeTellChange"();
