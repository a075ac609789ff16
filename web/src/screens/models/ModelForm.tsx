import { type FormEvent, useState } from "react";
import { answer, api, type Schemas } from "~/api/client";
import { PROVIDERS } from "~/api/generated/providers";
import { useAct } from "~/api/useAct";
import { Button, css as ui, Dialog, Field, Input, Select, Textarea } from "~/ui";
import { fieldError } from "~/ui/errorText";

type Model = Schemas["Model"];
type Provider = NonNullable<Model["provider"]>;

/** Register a model of a provider, or change one. */
export function ModelForm({ project, model, onClose }: { project: string; model: Model | null; onClose: () => void }) {
  const [provider, setProvider] = useState<Provider>(model?.provider ?? "open_ai");
  const [name, setName] = useState(model?.name ?? "");
  const [external, setExternal] = useState(model?.external_model_id ?? "");
  const [endpoint, setEndpoint] = useState(model?.endpoint ?? "");
  const [apiKey, setApiKey] = useState("");
  const [extra, setExtra] = useState(
    model && Object.keys(model.extra_params).length ? JSON.stringify(model.extra_params, null, 2) : "",
  );
  const [fallback, setFallback] = useState(model?.fallback ?? "");
  const [isDefault, setDefault] = useState(false);
  const [wrongExtra, setWrongExtra] = useState<string>();
  const save = useAct(
    async (extra_params: Record<string, unknown> | null): Promise<Model> => {
      const said = { external_model_id: external || name, endpoint: endpoint || null, fallback: fallback || null, extra_params };
      if (model) {
        const body = { name, ...said, ...(apiKey ? { api_key: apiKey } : {}) };
        return answer(api.PATCH("/api/v1/models/{model}", { params: { path: { model: model.key } }, body }));
      }
      const body = { provider, name, ...said, api_key: apiKey || null, project, make_default: isDefault };
      return answer(api.POST("/api/v1/models", { body }));
    },
    {
      done: (saved) => `${saved.key} is saved`,
      outdated: [["models"], ["project-models", project], ["model-status"]],
      onDone: onClose,
    },
  );
  const { fields, required_fields: required, example_endpoint: example } = PROVIDERS[provider];
  const wrong = (field: string) => fieldError(save.error, field);
  function submit(event: FormEvent) {
    event.preventDefault();
    try {
      setWrongExtra(undefined);
      save.mutate(extra.trim() ? JSON.parse(extra) : null);
    } catch {
      setWrongExtra("This is not JSON, such as {\"temperature\": 0.2}.");
    }
  }
  return (
    <Dialog title={model ? `Change ${model.key}` : "Register a model"} open onClose={onClose}>
      <form onSubmit={submit} style={{ display: "grid", gap: 12 }}>
        {!model && (
          <Field label="Provider">
            <Select value={provider} onChange={(event) => setProvider(event.target.value as Provider)}>
              {Object.entries(PROVIDERS).map(([key, { title }]) => (
                <option key={key} value={key}>
                  {title}
                </option>
              ))}
            </Select>
          </Field>
        )}
        <Field label="Name" hint="Calls name it in small letters." wrong={wrong("name") ?? wrong("key")}>
          <Input value={name} onChange={(event) => setName(event.target.value)} required autoFocus />
        </Field>
        {fields.includes("endpoint") && (
          <>
            <Field label="Model id at the provider" wrong={wrong("external_model_id")}>
              <Input value={external} placeholder={name} onChange={(event) => setExternal(event.target.value)} />
            </Field>
            <Field
              label={required.includes("endpoint") ? "Endpoint" : "Endpoint (optional)"}
              hint={`The base URL, such as ${example}. Empty: the provider's own.`}
              wrong={wrong("endpoint")}
            >
              <Input type="url" value={endpoint} onChange={(event) => setEndpoint(event.target.value)} />
            </Field>
            <Field
              label="API key"
              hint={model?.has_api_key ? "One is kept, encrypted. Give another to replace it." : "Kept encrypted, never shown again."}
              wrong={wrong("api_key")}
            >
              <Input
                type="password"
                autoComplete="new-password"
                value={apiKey}
                onChange={(event) => setApiKey(event.target.value)}
              />
            </Field>
          </>
        )}
        <Field label="Fallback (optional)" hint="The model that is called where this one fails." wrong={wrong("fallback")}>
          <Input value={fallback} onChange={(event) => setFallback(event.target.value)} />
        </Field>
        <Field
          label="Extra parameters (optional)"
          hint="JSON that is laid over every request."
          wrong={wrongExtra ?? wrong("extra_params")}
        >
          <Textarea value={extra} spellCheck={false} onChange={(event) => setExtra(event.target.value)} />
        </Field>
        {!model && (
          <label>
            <input type="checkbox" checked={isDefault} onChange={() => setDefault(!isDefault)} /> Make it the default
          </label>
        )}
        <div className={ui.actions}>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={save.isPending}>
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
