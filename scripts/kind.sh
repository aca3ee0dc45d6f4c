#!/usr/bin/env bash
# A good release and a bad one on kind, with Gloo itself: kind.sh
#
# Needs docker, kind, helm, kubectl and crossfade on PATH. GLOO is a version of Gloo's chart, or a range of them.
# KEEP=1 leaves the cluster running. Nothing outside of it is changed but the kubeconfig's context.
set -euo pipefail
cd "$(dirname "$0")/.."
cluster=${CLUSTER:-crossfade}
gloo=${GLOO:-~1.22.0}

finish() {
  local code=$?
  if [ "$code" != 0 ]; then
    kubectl get pods --all-namespaces || true
    kubectl describe canary --namespace echo || true
    kubectl get virtualservices --namespace gloo-system --output yaml || true
    kubectl logs --namespace crossfade --selector app.kubernetes.io/name=crossfade --tail 200 || true
  fi
  if [ -z "${KEEP:-}" ]; then kind delete cluster --name "$cluster" || true; fi
  exit "$code"
}

# The sandbox's manifests, with what a real cluster needs: the image as it was loaded, an address to listen on
# and the annotations by which Prometheus finds pods.
for_kind() {
  sed -E \
    -e 's|^( *)image: crossfade/demo-app$|&\n\1imagePullPolicy: Never\n\1env: [{name: POD_IP, value: 0.0.0.0}]|' \
    -e 's|^( *)labels: .*$|&\n\1annotations: {prometheus.io/scrape: "true", prometheus.io/port: "8080"}|' \
    "sandbox/demo/manifests/$1.yaml"
}

release() {  # VERSION, and the exit code that it has to end with
  local code=0
  for_kind "echo-$1" | kubectl apply -f -
  crossfade status echo --namespace echo --release "$1" --watch --timeout 10m || code=$?
  if [ "$code" != "$2" ]; then
    echo "the release of $1 ended with $code; $2 is right" >&2
    return 1
  fi
}

trap finish EXIT
kind create cluster --name "$cluster" --wait 2m
docker build --tag crossfade:kind .
docker build --tag crossfade/demo-app --file - sandbox <<'IMAGE'
FROM python:3.12.13-slim-trixie
COPY demo_app.py /
ENTRYPOINT ["python", "-S", "/demo_app.py"]
IMAGE
kind load docker-image --name "$cluster" crossfade:kind crossfade/demo-app

# kind has no load balancers to wait for.
helm install gloo gloo --repo https://storage.googleapis.com/solo-public-helm --version "$gloo" \
  --namespace gloo-system --create-namespace --set gatewayProxies.gatewayProxy.service.type=ClusterIP \
  --wait --timeout 10m
kubectl apply -f tests/kind/prometheus.yaml
kubectl rollout status deployment/prometheus --namespace monitoring --timeout 3m
helm install crossfade helm/crossfade --namespace crossfade --create-namespace \
  --set image.repository=crossfade --set image.tag=kind --set image.pullPolicy=Never \
  --set prometheus.url=http://prometheus.monitoring:9090 --wait --timeout 3m

for_kind echo | kubectl apply -f -
kubectl rollout status deployment/echo-v1 --namespace echo --timeout 2m
kubectl apply -f tests/kind/users.yaml
kubectl rollout status deployment/users --timeout 2m
# A real cluster is scraped and told of changes more slowly than the sandbox.
sed -E 's/: 4s$/: 20s/; s/: 1s$/: 4s/' sandbox/demo/manifests/canary.yaml | kubectl apply -f -
crossfade status echo --namespace echo --watch --timeout 3m

release v2 0
release v3 2
kubectl get virtualservice echo --namespace gloo-system --output jsonpath='{.spec.virtualHost.routes}' |
  grep -q '"version":"v2"'
echo "v2 was promoted, v3 was rolled back, and the users are served by v2."
