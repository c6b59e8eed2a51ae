import { ok, notLoggedIn, refused } from "./expected.js";
import type { Stage } from "./stage.js";

export async function bridge(stage: Stage): Promise<void> {
  const { tell, people } = stage;
  const { ada, ben } = people;
  tell.heading("3. Flip to bridge: a cookie session becomes a token session, exactly once");
  stage.mode = "bridge";
  await ada.byCookie("ada's cookie brings her tokens", "GET /cart", {
    ...ok("ada: tea"),
    tokens: "a pair",
  });
  await ada.byCookie("response lost? the same pair", "GET /cart", {
    ...ok("ada: tea"),
    tokens: ada.tokens ?? "a pair",
  });
  await ben.byCookie("a page load gets no tokens", "GET /cart", ok("ben: empty"), {
    headers: { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" },
  });
  const crowd = await Promise.all(Array.from({ length: 20 }, () => ben.quietly("GET /cart")));
  const pairs = new Set(crowd.map(({ headers }) => headers["session-refresh-token"]));
  const good = crowd.filter(({ status }) => status === 200).length;
  tell.fact(
    "20 requests at once",
    "GET /cart x 20",
    `${good} x 200, ${pairs.size} pair`,
    "20 x 200, 1 pair",
  );
  tell.fact(
    "one session for each cookie",
    "PostgreSQL",
    await stage.count("token sessions", `"sessionStore"`),
    "2 token sessions",
  );
}

export async function twoCredentials({ tell, people: { ada } }: Stage): Promise<void> {
  tell.heading("4. Two credentials, one session");
  await ada.byToken("ada's phone uses her token", "GET /cart", ok("ada: tea"));
  await ada.byCookie("adopted: no more offers", "GET /cart", ok("ada: tea"));
  await ada.byCookie("her browser buys milk", "POST /cart/milk", {
    ...ok("ada: tea, milk"),
    cookie: "set",
  });
  await ada.byToken("her phone sees it, buys jam", "POST /cart/jam", ok("ada: tea, milk, jam"));
  await ada.byCookie("her browser sees that", "GET /cart", ok("ada: tea, milk, jam"));
  await ada.byBoth("a bad token, beside her cookie", "GET /cart", refused, "not.a.token");
}

export async function refresh({ tell, people: { ada }, clock }: Stage): Promise<void> {
  tell.heading("5. Refresh: 16 minutes later");
  clock.advance(16 * 60);
  await ada.byToken("the access token has expired", "GET /cart", refused);
  const presented = ada.tokens?.refresh;
  await ada.byRefresh("the refresh token is exchanged", { status: 200, tokens: "a pair" });
  await ada.byRefresh(
    "answer lost? the same pair",
    { status: 200, tokens: ada.tokens ?? "a pair" },
    presented,
  );
  await ada.byToken("the new access token works", "GET /cart", ok("ada: tea, milk, jam"));
}

export async function stolenToken(stage: Stage): Promise<void> {
  const { tell, people, clock } = stage;
  const { cleo } = people;
  tell.heading("6. A stolen refresh token");
  await cleo.byCookie("cleo's cookie brings her tokens", "GET /cart", {
    ...ok("cleo: empty"),
    tokens: "a pair",
  });
  const thief = cleo.withoutCookies();
  await thief.byRefresh("a thief uses her refresh token", { status: 200, tokens: "a pair" });
  await thief.byToken("and reads her cart", "GET /cart", ok("cleo: empty"));
  clock.advance(20);
  await cleo.byRefresh("20 s later cleo refreshes too", refused);
  tell.fact("so the theft is noticed", "event session:leaked", `told ${stage.leaks} x`, "told 1 x");
  await thief.byToken("the thief is out", "GET /cart", refused);
  await cleo.byCookie("so is cleo, who logs in anew", "GET /cart", notLoggedIn);
  await cleo.byCookie("and gets new ids", "POST /login/cleo", {
    ...ok("cleo: empty"),
    cookie: "set",
    tokens: "a pair",
  });
}

export async function logout(stage: Stage): Promise<void> {
  const { tell, people } = stage;
  const { ben, dan } = people;
  tell.heading("7. Logging out by either credential ends both");
  for (const person of [ben, dan]) {
    const { name } = person;
    await person.byCookie(`${name} has his tokens`, "GET /cart", {
      ...ok(`${name}: empty`),
      tokens: "a pair",
    });
  }
  await ben.byToken("ben logs out by token", "POST /session/logout", { status: 204 });
  await ben.byToken("his access token is dead", "GET /cart", refused);
  await ben.byRefresh("his refresh token too", refused);
  await ben.byCookie("and the cookie he still has", "GET /cart", notLoggedIn);
  await dan.byCookie("dan logs out by cookie", "POST /logout", { status: 204, cookie: "cleared" });
  await dan.byToken("his access token is dead", "GET /cart", refused);
  tell.fact(
    "their rows left the old table",
    "PostgreSQL",
    await stage.count("left", `"oldSession" where "value"->>'user' in ('ben', 'dan')`),
    "0 left",
  );
}
