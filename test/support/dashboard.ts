import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** The folder with the dashboard and the alerts. */
export const monitoringFolder = fileURLToPath(new URL("../../monitoring/", import.meta.url));

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly datasource: unknown;
  readonly gridPos: { x: number; y: number; w: number; h: number };
  readonly targets: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly instant?: boolean;
    readonly datasource: unknown;
  }[];
}

export interface Dashboard {
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { name: string; type: string }[] };
}

/** The dashboard as Grafana would import it. */
export async function readDashboard(): Promise<Dashboard> {
  const text = await readFile(`${monitoringFolder}grafana-dashboard.json`, "utf8");
  return JSON.parse(text) as Dashboard;
}
