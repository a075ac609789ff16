import { answer, api, type Schemas } from "~/api/client";
import { Input, Textarea } from "~/ui";
import { FormDialog, FormField, useFormValues } from "~/ui/form";

type Project = Schemas["Project"];

/** Create a project, or change its name and description. */
export function ProjectForm({ project, onClose }: { project: Project | null; onClose: () => void }) {
  const { values, text } = useFormValues({
    key: "",
    name: project?.name ?? "",
    description: project?.description ?? "",
  });
  const { key, name, description } = values;
  const send = () =>
    project
      ? answer(
          api.PATCH("/api/v1/projects/{project}", {
            params: { path: { project: project.key } },
            body: { name, description },
          }),
        )
      : answer(api.POST("/api/v1/projects", { body: { key, name: name || null, description } }));
  return (
    <FormDialog
      title={project ? `Change ${project.key}` : "New project"}
      submitLabel="Save"
      send={send}
      done={(saved) => `${saved.name} is saved`}
      outdated={[["projects"]]}
      onDone={onClose}
      onClose={onClose}
    >
      {!project && (
        <FormField name="key" label="Key" hint="Calls name the project by it; it stays.">
          <Input {...text("key")} required autoFocus spellCheck={false} />
        </FormField>
      )}
      <FormField name="name" label="Name" isOptional>
        <Input {...text("name")} placeholder={key} />
      </FormField>
      <FormField name="description" label="Description" isOptional>
        <Textarea {...text("description")} />
      </FormField>
    </FormDialog>
  );
}
