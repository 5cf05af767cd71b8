//! `webhook`: adds, lists, tests, enables and removes webhooks, also while a server runs.

use std::process::ExitCode;

use primitives::iso_ms;
use runtime::clock::now_ms;

use super::fail;
use super::output::{note, print};
use super::storage::runtime;
use crate::cli::config::{StorageArgs, WebhookAddArgs, WebhookArgs, WebhookChoice, WebhookCommand};
use crate::server::{NewWebhook, Progress, Webhook, WebhookFolder, WebhookSender, send_test};

/// Runs the subcommand.
pub(super) fn run(args: &WebhookArgs) -> ExitCode {
    let done = match &args.command {
        WebhookCommand::Add(args) => add(args),
        WebhookCommand::List(storage) => list(storage),
        WebhookCommand::Test(choice) => test(choice),
        WebhookCommand::Enable(choice) => change(choice, |folder, id| folder.enable(id), "is enabled"),
        WebhookCommand::Remove(choice) => change(choice, |folder, id| folder.remove(id), "is removed"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

fn folder(storage: &StorageArgs) -> Result<WebhookFolder, String> {
    if storage.database.options().is_some() {
        return Err("webhooks are available only for documents in files, not with --database".to_owned());
    }
    Ok(WebhookFolder::of_documents(&storage.documents))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn add(args: &WebhookAddArgs) -> Result<(), String> {
    let WebhookAddArgs { url, only, debounce, allow_private, storage } = args;
    let folder = folder(storage)?;
    let (url, documents) = (url.clone(), only.clone());
    let (debounce, allow_private) = (*debounce, *allow_private);
    let new = NewWebhook { url, documents, debounce, allow_private, added_by: None };
    let webhook = new.create(now_ms()).map_err(text)?;
    folder.add(webhook.clone()).map_err(text)?;
    note(format_args!("added; the secret is shown only now, and verifies the messages"));
    print(format_args!("{}  {}", webhook.id, webhook.secret)).map_err(text)
}

fn list(storage: &StorageArgs) -> Result<(), String> {
    let folder = folder(storage)?;
    for webhook in folder.webhooks().map_err(text)? {
        let progress = folder.progress(&webhook.id).map_err(text)?;
        let Webhook { id, url, documents, added_by, .. } = &webhook;
        let by = added_by.as_ref().map(|user| format!("added by {user}  ")).unwrap_or_default();
        print(format_args!("{id}  {url}  documents {documents}  {by}{}", state(&webhook, &progress))).map_err(text)?;
    }
    Ok(())
}

/// The state of a webhook, in words.
fn state(webhook: &Webhook, progress: &Progress) -> String {
    if let Some(disabled) = progress.disabled(webhook.enabled) {
        return format!("switched off {}: {}", iso_ms(disabled.at).unwrap_or_default(), disabled.reason);
    }
    match (&progress.last_error, progress.last_delivery.and_then(iso_ms)) {
        (Some(error), _) => format!("{} failed attempts; the last: {error}", progress.failed),
        (None, Some(last)) => format!("delivered {last}"),
        (None, None) => "nothing delivered yet".to_owned(),
    }
}

fn test(choice: &WebhookChoice) -> Result<(), String> {
    let webhook = folder(&choice.storage)?.webhook(&choice.id).map_err(text)?;
    let sent = runtime().map_err(text)?.block_on(send_test(&WebhookSender::default(), &webhook));
    sent.map_err(|error| format!("the message was not accepted: {error}"))?;
    note(format_args!("the message was accepted"));
    Ok(())
}

fn change(
    choice: &WebhookChoice,
    change: impl FnOnce(&WebhookFolder, &str) -> Result<(), crate::server::WebhookError>,
    done: &str,
) -> Result<(), String> {
    change(&folder(&choice.storage)?, &choice.id).map_err(text)?;
    note(format_args!("{} {done}", choice.id));
    Ok(())
}
