import { Agent, request } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import { flushIntervalInSeconds } from "../../src/monitor/reporter.js";
import { type Cluster } from "../support/cluster.js";
import { type TestDatabase, testDatabase } from "../support/database.js";
import { startFleet } from "../support/fleet.js";
import { countedRequests } from "../support/hit-counts.js";

let database: TestDatabase;
let fleet: Cluster;
beforeEach(async () => {
  database = await testDatabase();
  fleet = await startFleet(database, 1);
});
afterEach(async () => {
  await fleet.close();
  await database.drop();
});

/** Requests without end, until the server is gone. */
function load(port: number, concurrency: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const answeredAt: number[] = [];
  let sent = 0;
  const once = () =>
    new Promise<boolean>((resolve) => {
      sent += 1;
      request({ port, host: "127.0.0.1", path: "/untouched", agent }, (response) => {
        response.resume().on("end", () => {
          answeredAt.push(Date.now());
          resolve(true);
        });
        response.on("error", () => resolve(false));
      })
        .on("error", () => resolve(false))
        .end();
    });
  const running = Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (await once());
    }),
  );
  return {
    answeredAt,
    get sent() {
      return sent;
    },
    ended: running.then(() => {
      agent.destroy();
    }),
  };
}

test("a process that is killed loses the counts of one flush interval at most, and doubles none", async () => {
  let before = 0;
  for (let round = 1; round <= 3; round += 1) {
    const generator = load(fleet.ports[0]!, 8);
    // At another moment of the interval each time.
    const isDue = () => generator.answeredAt.length > 0 && Date.now() - generator.answeredAt[0]!;
    await expect.poll(isDue, { timeout: 15_000, interval: 20 }).toBeGreaterThan(4000 + round * 900);
    await fleet.kill(0, "SIGKILL");
    const killedAt = Date.now();
    await generator.ended;

    // A statement that was sent before the end may still be carried out.
    await expect
      .poll(async () => {
        const { rows } = await database.pool.query<{ busy: number }>(
          `select count(*)::int as "busy" from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and state = 'active'`,
        );
        return rows[0]?.busy;
      })
      .toBe(0);
    const counted = (await countedRequests(database.pool)) - before;
    before += counted;
    // What the flush itself takes comes on top of the interval.
    const lostFrom = killedAt - (flushIntervalInSeconds + 1) * 1000;
    const mustBeThere = generator.answeredAt.filter((time) => time < lostFrom).length;
    expect(mustBeThere).toBeGreaterThan(50);
    expect(counted).toBeGreaterThanOrEqual(mustBeThere);
    expect(counted).toBeLessThanOrEqual(generator.sent);
    await fleet.restart(0);
  }
}, 90_000);
