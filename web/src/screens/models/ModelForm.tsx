import { useState } from "react";
import { answer, api, type Schemas } from "~/api/client";
import { PROVIDERS } from "~/api/generated/providers";
import { Input, Select, Textarea } from "~/ui";
import { FormCheck, FormDialog, FormField, useFormValues } from "~/ui/form";

type Model = Schemas["Model"];
type Provider = NonNullable<Model["provider"]>;

const NOT_JSON = 'This is not JSON, such as {"temperature": 0.2}.';

/** Register a model of a provider, or change one. */
export function ModelForm({ project, model, onClose }: { project: string; model: Model | null; onClose: () => void }) {
  const { values, text, flag } = useFormValues({
    provider: model?.provider ?? ("open_ai" as Provider),
    name: model?.name ?? "",
    externalId: model?.external_model_id ?? "",
    endpoint: model?.endpoint ?? "",
    apiKey: "",
    extra: model && Object.keys(model.extra_params).length ? JSON.stringify(model.extra_params, null, 2) : "",
    fallback: model?.fallback ?? "",
    isDefault: false,
  });
  const { provider, name, externalId, endpoint, apiKey, extra, fallback, isDefault } = values;
  const { fields, required_fields: required, example_endpoint: example } = PROVIDERS[provider];
  const [isExtraRead, setExtraRead] = useState(false);
  const extraParams = readJson(extra);
  const isExtraWrong = isExtraRead && extraParams === undefined;
  function send(): Promise<Model> {
    const about = {
      external_model_id: externalId || name,
      endpoint: endpoint || null,
      fallback: fallback || null,
      extra_params: extraParams ?? null,
    };
    if (model) {
      const body = { name, ...about, ...(apiKey ? { api_key: apiKey } : {}) };
      return answer(api.PATCH("/api/v1/models/{model}", { params: { path: { model: model.key } }, body }));
    }
    const body = { provider, name, ...about, api_key: apiKey || null, project, make_default: isDefault };
    return answer(api.POST("/api/v1/models", { body }));
  }
  return (
    <FormDialog
      title={model ? `Change ${model.key}` : "Register a model"}
      submitLabel="Save"
      isReady={extraParams !== undefined}
      send={send}
      done={(saved) => `${saved.key} is saved`}
      outdated={[["models"], ["project-models", project], ["model-status"]]}
      onDone={onClose}
      onClose={onClose}
    >
      {!model && (
        <FormField name="provider" label="Provider">
          <Select {...text("provider")}>
            {Object.entries(PROVIDERS).map(([key, { title }]) => (
              <option key={key} value={key}>
                {title}
              </option>
            ))}
          </Select>
        </FormField>
      )}
      <FormField name="name" otherName="key" label="Name" hint="Calls name it in small letters.">
        <Input {...text("name")} required autoFocus />
      </FormField>
      {fields.includes("endpoint") && (
        <>
          <FormField name="external_model_id" label="Model id at the provider" isOptional>
            <Input {...text("externalId")} placeholder={name} />
          </FormField>
          <FormField
            name="endpoint"
            label="Endpoint"
            isOptional={!required.includes("endpoint")}
            hint={`The base URL, such as ${example}. Empty: the provider's own.`}
          >
            <Input type="url" {...text("endpoint")} required={required.includes("endpoint")} />
          </FormField>
          <FormField
            name="api_key"
            label="API key"
            isOptional
            hint={model?.has_api_key ? "One is kept, encrypted. Give another to replace it." : "Kept encrypted, never shown again."}
          >
            <Input type="password" autoComplete="new-password" {...text("apiKey")} />
          </FormField>
        </>
      )}
      <FormField name="fallback" label="Fallback" isOptional hint="The model that is called where this one fails.">
        <Input {...text("fallback")} />
      </FormField>
      <FormField
        name="extra_params"
        label="Extra parameters"
        isOptional
        hint="JSON that is laid over every request."
        wrong={isExtraWrong ? NOT_JSON : undefined}
      >
        <Textarea {...text("extra")} spellCheck={false} onBlur={() => setExtraRead(true)} />
      </FormField>
      {!model && <FormCheck {...flag("isDefault")}>Make it the default</FormCheck>}
    </FormDialog>
  );
}

/** Parse a JSON object: null for an empty text, undefined for any other text. */
function readJson(text: string): Record<string, unknown> | null | undefined {
  if (!text.trim()) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
