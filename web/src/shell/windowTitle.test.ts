import { expect, it } from "vitest";
import { windowTitle } from "./windowTitle";

it.each([
  [{ pathname: "/p/web/interactions", search: {}, project: "Web shop" }, "Interactions · Web shop · Afterword"],
  [{ pathname: "/p/web/interactions", search: { q: "label.env:prod" }, project: "Web shop" }, "label.env:prod · Interactions · Web shop · Afterword"],
  [{ pathname: "/p/web/interactions", search: { open: "1" }, project: "Web", prompt: "Why is\n the sky blue?" }, "Why is the sky blue? · Web · Afterword"],
  [{ pathname: "/p/web/interactions/0192", search: {}, project: "Web", prompt: undefined }, "Interaction · Web · Afterword"],
  [{ pathname: "/p/web/metrics", search: { metric: "CSAT" }, project: "Web" }, "CSAT · Metrics · Web · Afterword"],
  [{ pathname: "/p/web/ab-tests", search: {}, project: "Web" }, "A/B tests · Web · Afterword"],
  [{ pathname: "/keys", search: {} }, "Keys · Afterword"],
  [{ pathname: "/nothing", search: {} }, "Afterword"],
])("names what is shown: %j", (shown, title) => expect(windowTitle(shown)).toBe(title));
