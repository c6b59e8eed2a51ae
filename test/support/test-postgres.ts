import { dockerEngineAnswers } from "./docker-engine.js";
import { startEmbeddedPostgres } from "./postgres-server.js";

/** Where the tests find a PostgreSQL, and how they give it back. */
export interface TestPostgres {
  /** A role that may create databases. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * The PostgreSQL of a test run: the one of `TEST_DATABASE_URL`; else a container of the image that
 * `TEST_POSTGRES_IMAGE` asks for, when a Docker engine answers; else the embedded one. There always is
 * one, so no test is ever skipped for lack of it.
 */
export async function startTestPostgres(): Promise<TestPostgres> {
  const url = process.env.TEST_DATABASE_URL;
  if (url) return { url, close: async () => undefined };

  const image = process.env.TEST_POSTGRES_IMAGE;
  if (image) {
    if (await dockerEngineAnswers()) return startContainer(image);
    process.stderr.write("No Docker engine answers: TEST_POSTGRES_IMAGE is not used.\n");
  }
  return startEmbeddedPostgres();
}

async function startContainer(image: string): Promise<TestPostgres> {
  // Loaded on demand: most runs need none of it.
  const { PostgreSqlContainer } = await import("@testcontainers/postgresql");
  const container = await new PostgreSqlContainer(image)
    .withCommand(["postgres", "-c", "max_connections=300", "-c", "fsync=off"])
    .start();
  return {
    url: container.getConnectionUri(),
    close: async () => {
      await container.stop();
    },
  };
}
