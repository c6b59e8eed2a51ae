import pg from "pg";
import { expect, inject, test } from "vitest";
import { isPooled } from "../../src/store/diagnose.js";

test("the doctor tells PgBouncer from PostgreSQL itself", async () => {
  const { adminUrl, url } = inject("postgres");
  for (const [address, expected] of [
    [adminUrl, false],
    [url, true],
  ] as const) {
    const pool = new pg.Pool({ connectionString: address, max: 1 });
    try {
      expect(await isPooled(pool)).toBe(expected);
    } finally {
      await pool.end();
    }
  }
});
