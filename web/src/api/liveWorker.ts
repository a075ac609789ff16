// The shared worker that runs the stream of all tabs.

import { type FromTab, LiveLine } from "./liveLine";

const line = new LiveLine();

self.addEventListener("connect", (event) => {
  const [port] = (event as MessageEvent).ports;
  if (!port) return;
  port.addEventListener("message", ({ data }) => line.hear(port, data as FromTab));
  port.start();
});
