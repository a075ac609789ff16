import { queryOptions, useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useState } from "react";
import { answer, api, type Schemas } from "~/api/client";
import { modelsQuery, projectModelsQuery } from "~/api/queries";
import { usedModelsQuery } from "~/filter/facets";
import { useMay } from "~/shell/useMay";
import { useAct } from "~/api/useAct";
import { Button, Chip, Confirm, css as ui, cx, Empty, ErrorNote, Loading, Menu, MenuChoice, MenuSeparator, Page } from "~/ui";
import { offerUndo } from "~/ui/toasts";
import { ModelForm } from "./ModelForm";

type Model = Schemas["Model"];

/** The models of a project, and all that are registered. */
export function ModelsScreen() {
  const { project } = useParams({ from: "/inside/p/$project/models" });
  const may = useMay();
  const { data: models, error } = useQuery(modelsQuery);
  const { data: attached = [] } = useQuery(projectModelsQuery(project));
  const statuses = useQuery({ ...modelStatusesQuery(project), enabled: attached.length > 0 });
  const [form, setForm] = useState<"new" | Model | null>(null);
  const [deleting, setDeleting] = useState<Model | null>(null);
  const outdated = [["models"], ["project-models", project], ["model-status"]];
  const path = (model: string) => ({ path: { project, model } });
  const attach = useAct(
    ({ model, make_default = false }: { model: string; make_default?: boolean }) =>
      answer(
        api.POST("/api/v1/projects/{project}/models", { params: { path: { project } }, body: { model, make_default } }),
      ),
    { done: "The model can be called here now", outdated },
  );
  const detach = useAct(
    ({ model }: { model: string; make_default: boolean }) =>
      answer(api.DELETE("/api/v1/projects/{project}/models/{model}", { params: path(model) })),
    { outdated, onDone: (_, detached) => offerUndo(`${detached.model} is detached`, () => attach.mutate(detached)) },
  );
  const change = useAct(
    ({ model, ...body }: { model: string; is_default?: boolean; enabled?: boolean }) =>
      answer(api.PATCH("/api/v1/projects/{project}/models/{model}", { params: path(model), body })),
    { outdated },
  );
  const remove = useAct(
    (model: string) => answer(api.DELETE("/api/v1/models/{model}", { params: { path: { model } } })),
    { done: "The model is deleted", outdated },
  );
  const mayAdminister = may("administer");
  const mayRegister = may("administer_server");
  const ours = attached.flatMap((one) => {
    const model = models?.find(({ key }) => key === one.model);
    return model ? [{ ...one, model }] : [];
  });
  const others = models?.filter(({ key, provider }) => provider && !attached.some((one) => one.model === key)) ?? [];
  const logged = models?.filter(({ provider }) => !provider) ?? [];
  return (
    <Page
      title="Models"
      about={`What calls in ${project} can name. A call that names none goes to the default.`}
      actions={
        mayRegister && (
          <Button look="primary" onClick={() => setForm("new")}>
            <Plus size={15} aria-hidden /> Register a model
          </Button>
        )
      }
    >
      {error && <ErrorNote error={error} />}
      {!models && !error && <Loading />}
      {models && ours.length === 0 && (
        <Empty title="No model can be called here">
          <p>Register an endpoint, or attach one that is registered. Completions made elsewhere are logged without.</p>
        </Empty>
      )}
      {ours.length > 0 && (
        <div className={ui.scroll}>
          <table className={cx(ui.table, ui.cards)}>
            <thead>
              <tr>
                <th>Model</th>
                <th>Call it as</th>
                <th>Provider</th>
                <th>Status</th>
                <th>Enabled</th>
                <th aria-label="Actions" />
              </tr>
            </thead>
            <tbody>
              {ours.map(({ model, is_default, enabled }) => (
                <AttachedModel
                  key={model.key}
                  {...{ project, model, is_default, enabled, mayAdminister }}
                  status={statuses.isFetching ? "checking" : statuses.data?.get(model.key)}
                  onCheck={() => statuses.refetch()}
                  onChange={(body) => change.mutate({ model: model.key, ...body })}
                  onDetach={() => detach.mutate({ model: model.key, make_default: is_default })}
                  onEdit={mayRegister ? () => setForm(model) : null}
                  onDelete={mayRegister ? () => setDeleting(model) : null}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {others.length > 0 && (
        <OtherModels models={others} onAttach={mayAdminister ? (model) => attach.mutate({ model }) : null} />
      )}
      {logged.length > 0 && <LoggedModels project={project} models={logged} />}
      {form && <ModelForm project={project} model={form === "new" ? null : form} onClose={() => setForm(null)} />}
      <Confirm
        title={`Delete ${deleting?.key}?`}
        what="No project can call it any more. Its interactions stay."
        act="Delete"
        open={deleting !== null}
        onClose={() => setDeleting(null)}
        onConfirm={() => deleting && remove.mutate(deleting.key)}
      />
    </Page>
  );
}

type AttachedModelProps = {
  project: string;
  model: Model;
  is_default: boolean;
  enabled: boolean;
  mayAdminister: boolean;
  status: Schemas["ModelStatus"] | "checking" | undefined;
  onCheck: () => void;
  onChange: (body: { is_default?: boolean; enabled?: boolean }) => void;
  onDetach: () => void;
  onEdit: (() => void) | null;
  onDelete: (() => void) | null;
};

/** A model that can be called in the project. */
function AttachedModel(props: AttachedModelProps) {
  const { project, model, is_default, enabled, mayAdminister, status, onCheck, onChange, onDetach, onEdit, onDelete } = props;
  return (
    <tr>
      <td>
        {model.name} {is_default && <Chip tone="good">default</Chip>}
        {model.fallback && <Chip>falls back to {model.fallback}</Chip>}
      </td>
      <td data-name="call it as">
        <code>
          {project}/{model.key}
        </code>
      </td>
      <td data-name="provider" title={model.endpoint ?? undefined}>
        {model.provider} <code>{model.external_model_id}</code>
      </td>
      <td>
        <Status status={status} onCheck={onCheck} />
      </td>
      <td data-name="enabled">
        <input
          type="checkbox"
          aria-label={`${model.key} enabled`}
          checked={enabled}
          disabled={!mayAdminister}
          onChange={() => onChange({ enabled: !enabled })}
        />
      </td>
      <td>
        {mayAdminister && (
          <Menu align="end" trigger={<Button small>Change</Button>}>
            {!is_default && (
              <MenuChoice onClick={() => onChange({ is_default: true })}>
                Make it the default
              </MenuChoice>
            )}
            {onEdit && <MenuChoice onClick={onEdit}>Edit…</MenuChoice>}
            <MenuChoice onClick={onDetach}>Detach from this project</MenuChoice>
            {onDelete && (
              <>
                <MenuSeparator />
                <MenuChoice danger onClick={onDelete}>
                  Delete everywhere…
                </MenuChoice>
              </>
            )}
          </Menu>
        )}
      </td>
    </tr>
  );
}

type OtherModelsProps = { models: readonly Model[]; onAttach: ((model: string) => void) | null };

/** Models that other projects may call. */
function OtherModels({ models, onAttach }: OtherModelsProps) {
  return (
    <section>
      <h2>Registered, not attached here</h2>
      <table className={ui.table}>
        <tbody>
          {models.map((model) => (
            <tr key={model.key}>
              <td>{model.name}</td>
              <td>
                {model.provider} <code>{model.external_model_id}</code>
              </td>
              <td className={ui.number}>
                {onAttach && (
                  <Button small onClick={() => onAttach(model.key)}>
                    Attach
                  </Button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** The models that cannot be called, but that interactions of the project name. An administrator sees the models of the
 * whole server, so that the interactions have to be looked at; that takes long where there are many. */
function LoggedModels({ project, models }: { project: string; models: readonly Model[] }) {
  const [isOpen, setOpen] = useState(false);
  const { data: used, error } = useQuery({ ...usedModelsQuery(project), enabled: isOpen });
  const logged = models.filter(({ key }) => used?.includes(key));
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <h2 style={{ display: "inline" }}>Logged only</h2>
      </summary>
      <p className={ui.hint}>Completions made elsewhere name these; they cannot be called from here.</p>
      {error && <ErrorNote error={error} />}
      {isOpen && !used && !error && <Loading lines={1} />}
      {used && logged.length === 0 && <p>The newest interactions name none.</p>}
      <p style={{ display: "flex", flexWrap: "wrap", gap: 6, marginTop: 8 }}>
        {logged.map(({ key }) => (
          <Chip key={key}>{key}</Chip>
        ))}
      </p>
    </details>
  );
}

/** Whether each model of a project can be called, as checked with its provider, by key. Apart from the models, because
 * a provider may take seconds to answer. */
const modelStatusesQuery = (project: string) =>
  queryOptions({
    queryKey: ["model-status", project],
    queryFn: ({ signal }) =>
      answer(api.GET("/api/v1/projects/{project}/models", { params: { path: { project }, query: { status: true } }, signal })),
    select: ({ models = [] }) => new Map(models.map(({ model, status }) => [model, status])),
    staleTime: 60_000,
    retry: false,
  });

/** Whether a model can be called. A click checks again. */
function Status({ status, onCheck }: Pick<AttachedModelProps, "status" | "onCheck">) {
  const tone = { online: "good", offline: "bad", unknown: undefined } as const;
  const known = status === "checking" ? undefined : status;
  return (
    <button
      type="button"
      title={known?.error ?? "Check again"}
      onClick={onCheck}
      style={{ border: 0, background: "none", padding: 0, cursor: "pointer" }}
    >
      <Chip tone={known && tone[known.status]}>{status === "checking" ? "checking…" : (known?.status ?? "unknown")}</Chip>
    </button>
  );
}
