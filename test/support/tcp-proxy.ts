import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Stands between a pool and PostgreSQL, to lose answers as networks do. */
export interface TcpProxy {
  /** The connection string, by way of the proxy. */
  readonly url: string;
  /** How many answers were swallowed. */
  readonly swallowed: number;
  /**
   * The next statement that contains this text is carried out; its answer is lost together with the
   * connection.
   */
  swallowAnswerTo(text: string): void;
  /** From here on nothing passes on the connections that are open, and nobody is told. */
  hang(): void;
  close(): Promise<void>;
}

/**
 * @param databaseUrl where the connections go to
 * @param port where it listens; default any that is free
 */
export async function startTcpProxy(databaseUrl: string, port = 0): Promise<TcpProxy> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  const hanging = new Set<Socket>();
  let text: string | undefined;
  let swallowed = 0;

  const server = createServer((client) => {
    const database = connect(Number(target.port), target.hostname);
    let isDoomed = false;
    for (const socket of [client, database]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        database.destroy();
      });
    }
    client.on("data", (data) => {
      if (hanging.has(client)) return;
      if (text !== undefined && data.includes(text)) {
        text = undefined;
        isDoomed = true;
      }
      database.write(data);
    });
    database.on("data", (data) => {
      if (hanging.has(client)) return;
      if (!isDoomed) client.write(data);
      else if (isReadyForQuery(data)) {
        swallowed += 1;
        client.destroy();
      }
    });
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(databaseUrl);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    get swallowed() {
      return swallowed;
    },
    swallowAnswerTo: (part) => {
      text = part;
    },
    hang: () => {
      for (const socket of sockets) hanging.add(socket);
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

// PostgreSQL says so when a statement is done and committed: Z, the length 5, and I for idle.
const isReadyForQuery = (data: Buffer) =>
  data.subarray(-6).equals(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]));
