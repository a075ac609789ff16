// Short notices at the edge of the page: what was done, or what failed.

import { Toast } from "@base-ui/react/toast";
import { errorText } from "./errorText";
import css from "./ui.module.css";

const toasts = Toast.createToastManager();

/** Tell the user that something was done, or show what the server refused. */
export function notify(told: string | Error, description?: string): void {
  if (typeof told === "string") {
    toasts.add({ title: told, description, timeout: 4000 });
  } else {
    const { message, hint } = errorText(told);
    toasts.add({
      // The same error of many calls is shown once.
      id: `${message}${hint}`,
      title: message,
      description: hint || undefined,
      type: "error",
      timeout: 9000,
      priority: "high",
    });
  }
}

/** Show that something was done, and offer to undo it. Returns a function that withdraws the offer. */
export function offerUndo(title: string, undo: () => void, description?: string): () => void {
  const id = toasts.add({
    title,
    description,
    timeout: 8000,
    actionProps: {
      children: "Undo",
      onClick: () => {
        toasts.close(id);
        undo();
      },
    },
  });
  return () => toasts.close(id);
}

export function Toasts() {
  return (
    <Toast.Provider toastManager={toasts}>
      <Toast.Portal>
        <Toast.Viewport className={css.toasts}>
          <Shown />
        </Toast.Viewport>
      </Toast.Portal>
    </Toast.Provider>
  );
}

function Shown() {
  return Toast.useToastManager().toasts.map((toast) => (
    <Toast.Root key={toast.id} toast={toast} className={css.toast}>
      <Toast.Title render={<strong />} />
      <Toast.Description />
      {toast.actionProps && <Toast.Action className={`${css.button} ${css.small} ${css.toastAction}`} />}
    </Toast.Root>
  ));
}
