//! Reads lists of whole objects once: the pages of their JSON, as the API server sends them.

use super::client::{KubeContext, ReadOnlyClient};
use super::discovery::{ListResource, discover_lists};
use super::error::Error;
use super::objects::ObjectShape;
use super::wire::ListPageWire;
use crate::watch::http_client::percent_encode;
use crate::watch::snapshot::ObservationScope;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Timeout of an answer, and of each piece of it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Objects in a page.
const PAGE_SIZE: u32 = 500;

/// Reads the pods, the wanted kinds and what they own; kinds that the cluster does not serve are left out. Every request
/// only reads.
///
/// # Errors
/// When the cluster cannot be read, or some list only in part.
pub(crate) async fn read_object_pages(
    context: &KubeContext,
    scope: &ObservationScope,
) -> Result<Vec<String>, Error> {
    let client = ReadOnlyClient::new(context, TIMEOUT).await?;
    let mut pages = Vec::new();
    for (resource, shape) in discover_lists(&client, scope).await?.lists {
        if !matches!(shape, ObjectShape::Revisions) {
            read_list(&client, &resource, &mut pages).await?;
        }
    }
    Ok(pages)
}

async fn read_list(
    client: &ReadOnlyClient,
    resource: &ListResource,
    pages: &mut Vec<String>,
) -> Result<(), Error> {
    let (turns, mut token) = (Semaphore::new(1), String::new());
    loop {
        let next = if token.is_empty() {
            String::new()
        } else {
            format!("&continue={}", percent_encode(&token, ""))
        };
        let path = format!("{}?limit={PAGE_SIZE}{next}", resource.path());
        let (page, _turn) = client.read_page(&path, &turns).await?;
        let page = String::from_utf8(page).map_err(|error| Error::invalid_response(&path, error))?;
        let list: ListPageWire<'_> =
            serde_json::from_str(&page).map_err(|error| Error::invalid_response(&path, error))?;
        if list.items.is_none() && !list.kind.as_str().ends_with("List") {
            return Err(Error::invalid_response(&path, "it is not a list"));
        }
        list.metadata.continue_token.as_str().clone_into(&mut token);
        pages.push(page);
        if token.is_empty() {
            return Ok(());
        }
    }
}
