import { describe, expect, it, vi } from "vitest";
import { bearer, tokensOf } from "../support/app.js";
import { compasSystem } from "../support/systems/compas.js";
import { cookieSessionSystem } from "../support/systems/cookie-session.js";
import { expressSessionSystem } from "../support/systems/express-session.js";
import { named } from "../support/systems/index.js";
import { koaGenericSessionSystem } from "../support/systems/koa-generic-session.js";
import { koaSessionMinimalSystem } from "../support/systems/koa-session-minimal.js";
import { withSystemCluster } from "../support/systems/system-flow.js";
import { refresh } from "../support/tokens.js";

// Those of koa-session are in test/flows/02 and 06, with every version.
const systems = named([
  koaSessionMinimalSystem,
  koaGenericSessionSystem,
  compasSystem(),
  expressSessionSystem,
  cookieSessionSystem,
]);
const requests = 4 * 50;

// Two cores may have other work to do.
vi.setConfig({ testTimeout: 180_000 });

describe.each(systems)("A session of %s in four processes", (_, system) => {
  const running = withSystemCluster(system);

  it("becomes one token session with one link and one pair, seen for the first time", async () => {
    const { flow, cluster, on } = running;
    // Readers alone, both at once, writers alone: of those fewer, since n that write at once take n² steps.
    const kinds = [() => false, (index: number) => index % 5 === 0, () => true];
    for (const [round, writes] of kinds.entries()) {
      const known = new Set((await flow.tableRows("sessionStore")).map(({ id }) => id as string));
      const user = `user-${round}`;
      const browser = await flow.login(user);
      const pathOf = (index: number) => (writes(index) ? `/set?key${index}=${index}` : "/whoami");
      const length = round === 2 ? 40 : requests;
      const paths = Array.from({ length }, (_, index) => pathOf(index));

      const responses = await Promise.all(paths.map((path, index) => on(browser, index).get(path)));

      expect(responses.filter(({ status }) => status !== 200)).toEqual([]);
      const users = new Set(responses.map(({ body }) => body.session.userId as unknown));
      expect([...users]).toEqual([user]);
      const pairs = new Set(responses.map((response) => JSON.stringify(tokensOf(response))));
      expect(pairs.size).toBe(1);
      expect(tokensOf(responses[0]!).accessToken).toBeTypeOf("string");
      const sessions = (await flow.tableRows("sessionStore")).filter(({ id }) => !known.has(id));
      expect(sessions).toHaveLength(1);
      expect(await flow.tableRows("sessionBridgeLink")).toHaveLength(round + 1);
      expect(await flow.tableRows("sessionStoreToken")).toHaveLength(2 * (round + 1));
      // Nothing that was written while the session was being upgraded is lost.
      const written = paths
        .filter((path) => path !== "/whoami")
        .flatMap((path) => [...new URLSearchParams(path.slice("/set?".length))]);
      const data = { userId: user, ...Object.fromEntries(written) };
      expect(sessions[0].data).toEqual(data);
      if (system.hasStore) {
        const row = (await flow.application.rows()).find((row) => row.data["userId"] === user);
        expect(row?.data).toEqual(data);
      }
    }
    expect(cluster.output()).toBe("");
  });

  it.each(["cookie", "bearer"])(
    "is not brought back by commits and logins while another tab logs out by %s",
    async (by) => {
      const { flow, on } = running;
      for (const position of [0, 20, 39]) {
        // Of its own: a cookie with the same data as one that has ended has ended, too.
        const browser = await flow.login(`${by}-${position}`);
        const { accessToken, refreshToken } = tokensOf(await on(browser, 0).get("/whoami"));
        const before = new Set((await flow.application.rows()).map(({ key }) => key));
        const loggedInBefore = await flow.loggedIn();

        const responses = await Promise.all(
          Array.from({ length: 40 }, (_, index) => {
            const tab = on(browser, index);
            const isBearer = index % 3 === 0 ? bearer(accessToken) : {};
            if (index === position) {
              return tab.get("/logout", by === "bearer" ? bearer(accessToken) : {});
            }
            // By cookie a login after the logout is a new session, by bearer there is none any more.
            if (index % 10 === 9) return tab.get("/login?user=user-2", bearer(accessToken));
            return tab.get(`/set?key${index}=1`, isBearer);
          }),
        );

        expect(responses[position]!.status).toBe(200);
        expect(responses.filter(({ status }) => status >= 500)).toEqual([]);
        for (const [index, path] of ["/whoami", "/set?again=1", "/whoami"].entries()) {
          expect((await on(browser, index).get(path, bearer(accessToken))).status).toBe(401);
          const byCookie = await on(browser, index).get(path);
          expect(byCookie.body.session).not.toHaveProperty("userId");
          expect(tokensOf(byCookie).accessToken).not.toBe(accessToken);
        }
        expect((await refresh(on(browser, 3).baseUrl, refreshToken!)).status).toBe(401);
        expect(await flow.loggedIn()).toBe(loggedInBefore - 1);
        const left = (await flow.application.rows()).filter(({ data }) => "userId" in data);
        expect(left.filter(({ key }) => !before.has(key))).toEqual([]);
        expect(left).toHaveLength(system.hasStore ? loggedInBefore - 1 : 0);
      }
    },
  );

  it("that is logged out as it is first seen is dead whatever came first", async () => {
    const { flow, on } = running;
    for (let round = 0; round < 6; round += 1) {
      const loggedInBefore = await flow.loggedIn();
      const browser = await flow.login(`early-${round}`);
      const responses = await Promise.all(
        Array.from({ length: 20 }, (_, index) => {
          if (index === round * 3) return on(browser, index).get("/logout");
          return on(browser, index).get(index % 2 === 0 ? "/whoami" : `/set?key${index}=1`);
        }),
      );

      expect(responses.filter(({ status }) => status >= 500)).toEqual([]);
      expect(await flow.loggedIn()).toBe(loggedInBefore);
      for (const path of ["/whoami", "/set?again=1"]) {
        const later = await on(browser, round).get(path);
        expect(later.body.session).not.toHaveProperty("userId");
      }
      const offered = responses
        .filter(({ body }) => body.session?.userId !== undefined)
        .map((response) => tokensOf(response).accessToken);
      for (const accessToken of new Set(offered.filter((token) => token !== undefined))) {
        expect((await on(browser, 0).get("/whoami", bearer(accessToken))).status).toBe(401);
      }
    }
  });
});
