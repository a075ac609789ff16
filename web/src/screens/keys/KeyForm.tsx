import { useQuery } from "@tanstack/react-query";
import { answer, api, type Schemas } from "~/api/client";
import { projectsQuery } from "~/api/queries";
import { Input, Select } from "~/ui";
import { FormChoices, FormDialog, FormField, useFormValues } from "~/ui/form";

export type Role = Schemas["ApiKey"]["role"];

export const ROLES: Record<Role, string> = {
  member: "reads, calls models, logs, rates, registers",
  viewer: "reads",
  inference: "calls models, logs and rates; reads nothing",
  ingest: "logs and rates; reads nothing",
  admin: "everything",
};

type KeyFormProps = {
  onClose: () => void;
  /** Called with the key itself, which the server shows once. */
  onMade: (key: string) => void;
};

/** Create an API key. */
export function KeyForm({ onClose, onMade }: KeyFormProps) {
  const { data: projects = [] } = useQuery(projectsQuery);
  const { values, set, text } = useFormValues({ name: "", role: "member" as Role, projects: [] as string[], days: "" });
  const send = () =>
    answer(
      api.POST("/api/v1/keys", {
        body: {
          name: values.name,
          role: values.role,
          projects: values.projects.length ? values.projects : null,
          expires_at: values.days ? `now + ${values.days} days` : null,
        },
      }),
    );
  return (
    <FormDialog
      title="New key"
      submitLabel="Create"
      send={send}
      outdated={[["keys"]]}
      onDone={(key) => onMade(key.api_key)}
      onClose={onClose}
    >
      <FormField name="name" label="Name" hint="Whose it is, or what for. Its feedback is shown under this name.">
        <Input {...text("name")} required autoFocus />
      </FormField>
      <FormField name="role" label="Role" hint={ROLES[values.role]}>
        <Select {...text("role")}>
          {Object.keys(ROLES).map((role) => (
            <option key={role}>{role}</option>
          ))}
        </Select>
      </FormField>
      <FormChoices
        name="projects"
        legend="Projects"
        isOptional
        hint="None chosen: all of them."
        options={projects}
        chosen={values.projects}
        onChoose={(chosen) => set({ projects: chosen })}
      />
      <FormField name="expires_at" label="Ends">
        <Select {...text("days")}>
          <option value="">never</option>
          <option value="30">in 30 days</option>
          <option value="90">in 90 days</option>
          <option value="365">in a year</option>
        </Select>
      </FormField>
    </FormDialog>
  );
}
