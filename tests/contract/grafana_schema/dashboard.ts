// A dashboard's JSON in Grafana's own types, each panel by its kind.
import type * as bargauge from
  "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen";
import type * as gauge from
  "@grafana/schema/dist/esm/raw/composable/gauge/panelcfg/x/GaugePanelCfg_types.gen";
import type * as heatmap from
  "@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen";
import type * as stat from
  "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as timeline from
  "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as table from
  "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as timeseries from
  "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";
import type * as grafana from "@grafana/schema/dist/esm/raw/dashboard/x/Dashboard_types.gen";
// The last release with a Prometheus query; newer ones leave it to the data source's own package.
import type { PrometheusDataQuery } from
  "grafana-schema-10/dist/esm/raw/composable/prometheus/dataquery/x/PrometheusDataQuery_types.gen";

// The data source's own type has the least step too.
type Query = PrometheusDataQuery & { interval?: string };

// JSON has the value of an enum's member, which TypeScript does not take for the member.
type Json<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Json<T[K]> } : T;

// What Grafana moves into `target` when it loads the dashboard, and what Prometheus's marks are called.
type Annotation = grafana.AnnotationQuery & { expr?: string; titleFormat?: string };

type Property<Config, Prefix extends string = ""> = {
  [K in keyof Config & string]: { id: `${Prefix}${K}`; value?: Config[K] };
}[keyof Config & string];

type FieldConfig = Omit<grafana.FieldConfig, "custom">;

type Panel<Type, Options, Custom = Record<string, never>> =
  Omit<grafana.Panel, "type" | "options" | "fieldConfig" | "targets"> & {
    type: Type;
    options: Options;
    fieldConfig: {
      defaults: FieldConfig & { custom?: Custom };
      overrides: {
        matcher: grafana.MatcherConfig;
        properties: (Property<FieldConfig> | Property<Custom, "custom.">)[];
      }[];
    };
    targets: Query[];
  };

export type Dashboard = Json<
  Omit<grafana.Dashboard, "annotations" | "panels"> & {
    annotations: { list: Annotation[] };
    panels: (
      | grafana.RowPanel
      | Panel<"bargauge", bargauge.Options>
      | Panel<"gauge", gauge.Options>
      | Panel<"heatmap", heatmap.Options, heatmap.FieldConfig>
      | Panel<"stat", stat.Options>
      | Panel<"state-timeline", timeline.Options, timeline.FieldConfig>
      | Panel<"table", table.Options, table.FieldConfig>
      | Panel<"timeseries", timeseries.Options, timeseries.FieldConfig>
    )[];
  }
>;
