import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startBridgedApp } from "../support/app.js";
import { cli } from "../support/cli.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { seedMonth, seedProcess } from "../support/month.js";

let database: TestDatabase;
const env = () => ({ DATABASE_URL: database.url });

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.pool.query(
    `truncate "sessionBridgeHit", "sessionBridgeProcess", "sessionBridgeMode", "sessionBridgeLink", "sessionStore" cascade`,
  );
});

async function flag() {
  const { rows } = await database.pool.query(
    `select "mode", "changedBy", "reason", "brownout" from "sessionBridgeMode" order by "id" desc limit 1`,
  );
  return rows[0] as { mode: string; changedBy: string; reason: string | null; brownout: any };
}

describe("mode", () => {
  test("is shown with its default, then with who changed it and why", async () => {
    const before = await cli(["mode"], env());
    expect(before).toEqual({
      code: 0,
      stdout: "Mode      bridge (the default: nobody has set it)\n",
      stderr: "",
    });
    const set = await cli(["mode", "observe", "--by", "ada", "--reason", "first deploy"], env());
    expect(set.stdout).toBe(
      "The mode is observe now, was bridge.\nNo process has served a request in the last 90 seconds.\n",
    );
    const [text, json] = await Promise.all([cli(["mode"], env()), cli(["mode", "--json"], env())]);
    expect(text.stdout).toMatch(/^Mode {6}observe\n\n\d{4}-.* observe +ada +first deploy\n$/);
    expect(JSON.parse(json.stdout)).toMatchObject({
      mode: "observe",
      brownout: null,
      changes: [{ mode: "observe", from: null, changedBy: "ada", reason: "first deploy" }],
    });
  });

  test("going on needs a verdict that allows it, or --yes; going back never does", async () => {
    await seedMonth(database.pool, { hitsToday: 5000, processes: [] });
    const refused = await cli(["mode", "drain"], env());
    expect(refused).toMatchObject({ code: 3, stdout: "" });
    expect(refused.stderr).toMatch(
      /^Not yet safe to go from bridge to drain:\n- .* by cookie alone/,
    );
    expect(refused.stderr).toContain("--yes");
    expect(await flag()).toMatchObject({ mode: "bridge" });
    const forced = await cli(["mode", "drain", "--yes", "--no-wait"], env());
    expect(forced).toEqual({ code: 0, stdout: "The mode is drain now, was bridge.\n", stderr: "" });
    expect((await cli(["mode", "tokens"], env())).code).toBe(3);
    expect((await cli(["mode", "bridge"], env())).code).toBe(0);
    expect(await flag()).toMatchObject({ mode: "bridge" });
  });

  test("goes to drain by itself where the verdict says so, and never past it", async () => {
    await seedMonth(database.pool, { processes: [] });
    const past = await cli(["mode", "tokens"], env());
    expect(past.code).toBe(3);
    expect(past.stderr).toContain("go to drain first");
    expect((await cli(["mode", "drain"], env())).code).toBe(0);
  });

  test("is followed by the processes that take it from the database, and told of the others", async () => {
    const apps = await Promise.all(
      [undefined, undefined, "bridge" as const].map((mode) =>
        startBridgedApp(database.pool, { mode } as object),
      ),
    );
    try {
      for (const app of apps) {
        await app.browser().get("/whoami");
        await app.bridge.status();
      }
      const gone = await seedProcess(database.pool, { mode: "bridge", about: { host: "gone" } });
      const run = await cli(["mode", "observe"], env());
      expect(run.code).toBe(4);
      expect(run.stdout).toMatch(/^Followed by 2 of 4 processes after [\d.]+ s\.$/m);
      expect(run.stdout).toMatch(
        /is in mode bridge by the application's option mode and never follows/,
      );
      expect(run.stdout).toMatch(/^- gone:4211 .* last seen .* it has ended without a word/m);
      await database.pool.query(`delete from "sessionBridgeProcess" where "id" = $1`, [gone]);
      await apps[2]!.close();
      const all = await cli(["mode", "bridge", "--json"], env());
      expect(all.code).toBe(0);
      expect(JSON.parse(all.stdout)).toMatchObject({
        mode: "bridge",
        from: "observe",
        followedBy: 2,
        processes: 2,
        notFollowing: [],
      });
    } finally {
      await apps[0]!.close();
      await apps[1]!.close();
    }
  });

  test("wrong use says what to do", async () => {
    const runs = await Promise.all([
      cli(["mode", "drian"], env()),
      cli(["mode", "--reason", "x"], env()),
      cli(["mode", "drain", "--reason", "a\nb"], env()),
    ]);
    expect(runs.map(({ code, stdout }) => [code, stdout])).toEqual([
      [2, ""],
      [2, ""],
      [2, ""],
    ]);
    expect(runs[0].stderr).toMatch(
      /^Unknown mode "drian": take one of observe, bridge, drain, tokens\./,
    );
    expect(runs[2].stderr).toMatch(/^--reason must be one line/);
  });
});

describe("brownout", () => {
  test("is set, estimated, shown and stopped; the mode stays", async () => {
    await seedMonth(database.pool, { hitsToday: 4000, processes: [] });
    const given = [
      "--share",
      "10%",
      "--every",
      "1h",
      "--for",
      "6m",
      "--until",
      "1d",
      "--by",
      "ada",
    ];
    const set = await cli(["brownout", ...given], env());
    expect(set).toMatchObject({ code: 0, stderr: "" });
    expect(set.stdout).toMatch(
      /^Brownout of 10 % of the cookies, for 6 min every 1 h, until .*; on now/,
    );
    expect(set.stdout).toMatch(/it meets about \d+ of [\d,]+ requests a day/);
    expect(await flag()).toMatchObject({
      mode: "bridge",
      changedBy: "ada",
      brownout: { share: 0.1 },
    });
    const [shown, status, mode] = await Promise.all([
      cli(["brownout"], env()),
      cli(["status"], env()),
      cli(["mode"], env()),
    ]);
    for (const { stdout } of [shown, status, mode]) expect(stdout).toContain("10 % of the cookies");
    expect(mode.stdout).toMatch(/ brownout of 10 % +ada/);
    expect((await cli(["brownout", "--stop"], env())).stdout).toBe("The brownout is over.\n");
    expect(await flag()).toMatchObject({ mode: "bridge", brownout: null });
    expect((await cli(["brownout"], env())).stdout).toBe("No brownout.\n");
    expect((await cli(["brownout", "--stop"], env())).stdout).toBe("There is no brownout.\n");
  });

  test("turns nobody away in observe, and asks for one without an end or a large one too early", async () => {
    await seedMonth(database.pool, { hitsToday: 4000, mode: "observe", processes: [] });
    const brownout = (...args: string[]) => cli(["brownout", ...args], env());
    const observed = await brownout("--share", "5%", "--for", "5m");
    expect(observed.code).toBe(2);
    expect(observed.stderr).toMatch(/^The mode is observe: nobody has tokens/);
    expect(await flag()).toMatchObject({ brownout: null });
    expect((await brownout("--for", "5m", "--yes")).code).toBe(0);
    await cli(["mode", "bridge"], env());
    await brownout("--stop");
    const [endless, large, both] = await Promise.all([
      brownout("--share", "5%"),
      brownout("--share", "11%", "--for", "5m"),
      brownout("--share", "11%"),
    ]);
    expect([endless.code, large.code, both.code]).toEqual([3, 3, 3]);
    expect(endless.stderr).toMatch(
      /^Without --for or --until it goes on .*\nNothing was changed\./,
    );
    expect(large.stderr).toMatch(/^It refuses 11 % of the cookies, and the verdict .* not yet\.\n/);
    expect(await flag()).toMatchObject({ brownout: null });
    const freely = [
      ["--share", "10%", "--for", "5m"],
      ["--every", "1h", "--for", "5m"],
      ["--until", "1d"],
    ];
    const runs = await Promise.all(
      [...freely, ["--yes", "--share", "5%"]].map((args) => brownout(...args)),
    );
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  });

  test("before a whole day has been counted nobody knows what it meets", async () => {
    const { stdout } = await cli(["brownout", "--for", "5m"], env());
    expect(stdout).toContain("is not known: no whole day has been counted yet.");
  });

  test("has nothing to rehearse in tokens; wrong use is told", async () => {
    await database.pool.query(
      `insert into "sessionBridgeMode" ("mode", "changedAt", "changedBy") values ('tokens', now(), 'a')`,
    );
    const runs = await Promise.all([
      cli(["brownout", "--share", "5%"], env()),
      cli(["brownout", "--every", "1h"], env()),
      cli(["brownout", "--stop", "--share", "1"], env()),
    ]);
    expect(runs.map(({ code }) => code)).toEqual([1, 2, 2]);
    expect(runs[0].stderr).toMatch(/^The mode is tokens: .* nothing to rehearse/);
  });
});
