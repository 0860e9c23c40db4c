// Objects on standard input, as a JSON array, against the schemas of their CRDs: one line of
// standard output for each, empty where the object is valid. Runs where the packages are.
import { HTTPRoute } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute";
import { PodMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor";
import { PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";
import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";

const kinds = { HTTPRoute, PodMonitor, PrometheusRule, ServiceMonitor };
let text = "";
for await (const piece of process.stdin) text += piece;
for (const object of JSON.parse(text)) {
  try {
    new kinds[object.kind](object).validate();
    console.log("");
  } catch (error) {
    console.log(`${object.kind} ${object.metadata?.name}: ${error.message}`.replaceAll("\n", " "));
  }
}
