import { migrate, migrations } from "../src/tokens/index.js";
import { notLoggedIn, ok } from "./expected.js";
import type { Stage } from "./stage.js";

export async function before(stage: Stage): Promise<void> {
  const { tell, people, recorded } = stage;
  const { ada, ben, cleo, dan, eve } = people;
  tell.heading("1. Before: plain koa-session over the shop's own session table");
  await stage.createOldTable();
  await stage.startOldShop();
  for (const person of [ada, ben, cleo, dan, eve]) {
    const { name } = person;
    await person.byCookie(
      `${name} logs in`,
      `POST /login/${name}`,
      ok(`${name}: empty`, { cookie: "set" }),
    );
  }
  await ada.byCookie("ada buys tea", "POST /cart/tea", ok("ada: tea", { cookie: "set" }));
  for (const person of [ada, ben, cleo, dan, eve]) recorded.set(person, person.cookies);
}

export async function observe(stage: Stage): Promise<void> {
  const { tell, people, pool } = stage;
  const { ada } = people;
  tell.heading("2. The same shop, restarted with one line swapped, in mode observe");
  tell.line("  - app.use(session(CONFIG, app));");
  tell.line(
    "  + app.use(sessionBridge({ legacy: koaSession(session, CONFIG), pool, tokens }, app));",
  );
  const applied = await migrate(pool);
  tell.fact(
    "the tables are created",
    "migrate(pool)",
    `${applied.length} files applied`,
    `${migrations.length} files applied`,
  );
  stage.mode = "observe";
  await stage.startBridgedShop();
  await ada.byCookie("the cookie from before works", "GET /cart", ok("ada: tea"));
  await ada.byCookie("no tokens are issued yet", "POST /session/upgrade", {
    status: 409,
    error: "issuing-disabled",
  });
  tell.fact(
    "nothing was upgraded",
    "PostgreSQL",
    await stage.count("token sessions", `"sessionStore"`),
    "0 token sessions",
  );
}

export async function counters({ tell, bridge }: Stage): Promise<void> {
  tell.heading("8. Watch the old path: bridge.status()");
  const { legacyCookies, ...status } = await bridge.status();
  const hits = legacyCookies["koa-session:koa.sess"];
  const { hit = 0, missed = 0, redundant = 0 } = hits ?? {};
  // Chapters 2 to 7 as told above: every request that carried a cookie, and what became of it.
  tell.fact(
    "cookies by what became of them",
    "koa-session:koa.sess",
    `${hit} hit, ${missed} missed`,
    "32 hit, 3 missed",
  );
  tell.fact("cookies beside a token", "redundant", String(redundant), "1");
  tell.fact("cookie sessions upgraded", "upgraded", String(status.upgraded), "5");
  tell.fact("of those, in use by token", "adopted", String(status.adopted), "3");
  tell.fact(
    "refreshed, and caught",
    "refreshed, leaked",
    `${status.refreshes["rotated"] ?? 0} and ${status.refreshes["repeated"] ?? 0} again, ${status.refreshes["reused"] ?? 0}`,
    "2 and 1 again, 1",
  );
}

export async function drain(stage: Stage): Promise<void> {
  const { tell, people } = stage;
  const { eve, fay } = people;
  tell.heading("9. Flip to drain: no new cookies, none renewed");
  stage.mode = "drain";
  await fay.byCookie("fay logs in: tokens, no cookie", "POST /login/fay", {
    ...ok("fay: empty"),
    tokens: "a pair",
  });
  await eve.byCookie("eve's cookie from before works", "GET /cart", {
    ...ok("eve: empty"),
    tokens: "a pair",
  });
  await eve.byCookie("it is not renewed any more", "POST /cart/figs", {
    ...ok("eve: figs"),
    tokens: eve.tokens ?? "a pair",
  });
}

export async function tokens(stage: Stage): Promise<void> {
  const { tell, people } = stage;
  const { ada, cleo, eve, fay } = people;
  tell.heading("10. Flip to tokens: the cookie is refused");
  stage.mode = "tokens";
  await cleo.byCookie("cleo comes with only a cookie", "GET /cart", {
    ...notLoggedIn,
    cookie: "cleared",
  });
  await cleo.byToken("her tokens work", "GET /cart", ok("cleo: empty"));
  await eve.byToken("eve's too", "GET /cart", ok("eve: figs"));
  await fay.byToken("fay's too", "POST /cart/nuts", ok("fay: nuts"));
  await ada.byToken("ada buys egg", "POST /cart/egg", ok("ada: tea, milk, jam, egg"));
}

export async function backToBridge(stage: Stage): Promise<void> {
  const { tell, people } = stage;
  const { ada, cleo, eve, fay } = people;
  tell.heading("11. Roll back to bridge: nobody is logged out");
  stage.mode = "bridge";
  await ada.byToken("ada by token", "GET /cart", ok("ada: tea, milk, jam, egg"));
  await stage
    .asRecorded(ada)
    .byCookie("ada by her very first cookie", "GET /cart", ok("ada: tea, milk, jam, egg"));
  await cleo.byToken("cleo by token", "GET /cart", ok("cleo: empty"));
  await stage
    .asRecorded(eve)
    .byCookie("eve by her very first cookie", "GET /cart", ok("eve: figs"));
  await eve.byToken("eve by token", "GET /cart", ok("eve: figs"));
  await fay.byToken("fay by token", "GET /cart", ok("fay: nuts"));
  await ada.byToken("ada buys rice", "POST /cart/rice", ok("ada: tea, milk, jam, egg, rice"));
}

export async function backToKoaSession(stage: Stage): Promise<void> {
  const { tell, people } = stage;
  const { ada } = people;
  tell.heading("12. Even the old line again: the old table was written through");
  await stage.startOldShop();
  await stage
    .asRecorded(ada)
    .byCookie("ada, plain koa-session", "GET /cart", ok("ada: tea, milk, jam, egg, rice"));
}
