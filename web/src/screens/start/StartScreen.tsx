import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { answer, api } from "~/api/client";
import { projectModelsQuery } from "~/api/queries";
import { useMay } from "~/shell/useMay";
import { useAct } from "~/api/useAct";
import { useLive } from "~/api/live";
import { Button, CopyButton, css as ui, Page, Tabs } from "~/ui";
import { addresses, snippets } from "./snippets";
import css from "./start.module.css";

const EVERYTHING = { and: [] };

/** The ways that call a model of the project. */
const CALLING = ["openai", "anthropic"];

/** The screen of a new project: ways to log the first interaction, with the real address and key. */
export function StartScreen() {
  const project = useParams({ strict: false }).project ?? "default";
  const queries = useQueryClient();
  const may = useMay();
  const [way, setWay] = useState("openai");
  const [key, setKey] = useState<string | null>(null);
  const arrived = () => void queries.invalidateQueries({ queryKey: ["interactions", project] });
  const connected = useLive(project, EVERYTHING, true, {
    onChanges: arrived,
    onStands: (again) => again && arrived(),
  });
  // Poll, in case a proxy blocks the stream of events.
  useEffect(() => {
    if (connected) return;
    const timer = setInterval(() => document.visibilityState === "visible" && arrived(), 5_000);
    return () => clearInterval(timer);
  });
  const make = useAct(
    () =>
      answer(api.POST("/api/v1/keys", { body: { name: `${project}: first steps`, role: "member", projects: [project] } })),
    { onDone: (made) => setKey(made.api_key), outdated: [["keys"]] },
  );
  const { data: models } = useQuery(projectModelsQuery(project));
  const attach = useAct(
    () =>
      answer(
        api.POST("/api/v1/projects/{project}/models", { params: { path: { project } }, body: { model: "echo" } }),
      ),
    { outdated: [["project-models", project]] },
  );
  const model = models?.find(({ enabled }) => enabled)?.model;
  const mayAdminister = may("administer");
  const all = snippets(location.origin, key ?? "$AFTERWORD_API_KEY", project, model ?? "echo");
  const chosen = all.find(({ name }) => name === way) ?? all[0];
  return (
    <Page title="Log the first interaction" about="Point an application at Afterword, or log what was completed elsewhere.">
      <section className={`${ui.card} ${css.card}`}>
        <Tabs value={way} onChange={setWay} tabs={all.map(({ name, title }) => [name, title] as const)}>
          <p className={css.about}>{chosen?.about}</p>
          <div className={css.code}>
            <CopyButton text={chosen?.code ?? ""} small={false} />
            <pre tabIndex={0}>{chosen?.code}</pre>
          </div>
        </Tabs>
        {models?.length === 0 && CALLING.includes(way) && (
          <p className={ui.hint}>
            No model can be called in this project yet.{" "}
            {mayAdminister && (
              <Button small onClick={() => attach.mutate(undefined)}>
                Attach echo, which needs no provider
              </Button>
            )}
          </p>
        )}
        {key ? (
          <p className={ui.hint}>
            The key stands in the snippets. It is shown this once: copy it, or create another on the page Keys.
          </p>
        ) : mayAdminister ? (
          <Button look="primary" onClick={() => make.mutate(undefined)} disabled={make.isPending}>
            Create a key for this
          </Button>
        ) : (
          <p className={ui.hint}>AFTERWORD_API_KEY is a key that may log; an administrator makes one.</p>
        )}
      </section>
      <Addresses />
      <p className={css.waiting} role="status">
        <span aria-hidden /> Waiting for the first interaction. It will appear here by itself.
      </p>
    </Page>
  );
}

/** What each client is given as its address, to be copied. */
function Addresses() {
  return (
    <section className={`${ui.card} ${css.card}`} aria-labelledby="addresses">
      <h2 id="addresses">Addresses</h2>
      <dl className={css.addresses}>
        {addresses(location.origin).map(({ client, variable, address }) => (
          <div key={client}>
            <dt>{client}</dt>
            <dd>
              <code>{variable}</code>
              <code>{address}</code>
              <CopyButton label={`Copy the address: ${client}`} text={address} />
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
