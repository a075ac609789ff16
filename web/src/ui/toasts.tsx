// Short notices at the edge of the page: what was done, or what failed.

import { Toast } from "@base-ui/react/toast";
import { errorText } from "./errorText";
import css from "./ui.module.css";

const toasts = Toast.createToastManager();

/** What can still be done about what was told, such as to undo it. */
export type ToastAction = { name: string; run: () => void };

/** Tell the user that something was done, or show what the server refused. */
export function notify(told: string | Error, description?: string, action?: ToastAction): void {
  if (typeof told === "string") {
    const id: string = toasts.add({
      title: told,
      description,
      timeout: action ? 15_000 : 4_000,
      ...(action && {
        actionProps: {
          children: action.name,
          onClick: () => {
            toasts.close(id);
            action.run();
          },
        },
      }),
    });
  } else {
    const { message, hint } = errorText(told);
    toasts.add({
      // What many calls meet at once is told once.
      id: `${message}${hint}`,
      title: message,
      description: hint || undefined,
      type: "error",
      timeout: 9000,
      priority: "high",
    });
  }
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
