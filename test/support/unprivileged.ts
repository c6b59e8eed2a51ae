import { chown, lchown, mkdtemp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * PostgreSQL and PgBouncer refuse to run as root. 65534 is "nobody" wherever there is such a user,
 * and needs no entry in the password file where there is none.
 */
const NOBODY = { uid: 65_534, gid: 65_534 };

/** The identity for `spawn`: nobody when we are root, else nothing, which keeps our own. */
export function unprivilegedIdentity(): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 ? NOBODY : {};
}

/** Gives a folder and all that is in it to the identity above. */
export async function giveToUnprivileged(folder: string): Promise<void> {
  const { uid, gid } = unprivilegedIdentity();
  if (uid === undefined || gid === undefined) return;
  await chown(folder, uid, gid);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await giveToUnprivileged(path);
    else await lchown(path, uid, gid);
  }
}

/** A new temporary folder of that identity. Root's own TMPDIR is often closed to everybody else. */
export async function unprivilegedTemporaryFolder(prefix: string): Promise<string> {
  const base = process.getuid?.() === 0 ? "/tmp" : tmpdir();
  const folder = await mkdtemp(join(base, prefix));
  await giveToUnprivileged(folder);
  return folder;
}
