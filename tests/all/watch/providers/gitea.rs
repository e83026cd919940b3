//! The words of Gitea and Forgejo.

use super::*;

pub(super) fn dialect() -> Dialect {
    Dialect {
        provider: GitProvider::Gitea,
        label: "Gitea",
        remote: "https://git.acme.example/acme/gitops.git",
        api_path: "/api/v1",
        authorization: "token s3cr3t",
        web_address: "https://git.acme.example/acme/gitops/pulls/7",
        item,
        page: |items, _| Value::Array(items),
        pages_to_end: 1,
        page_size: 10,
        list_open: "/repos/acme/gitops/pulls?state=open&base_branch=main&limit=10&page=1",
        list_all_second: "/repos/acme/gitops/pulls?state=all&base_branch=main&limit=10&page=2",
        create: (
            "POST /repos/acme/gitops/pulls",
            || json!({"head": HEAD, "base": "main", "title": "log: batch 2/3", "body": BODY}),
        ),
        update: ("PATCH /repos/acme/gitops/pulls/7", || json!({"title": "log: batch 2/3", "body": BODY})),
        updated_status: 201,
        close: || {
            vec![
                ("PATCH /repos/acme/gitops/pulls/7", json!({"state": "closed"}), answer(201, json!({}))),
                (
                    "POST /repos/acme/gitops/issues/7/comments",
                    json!({"body": "the rollout was paused"}),
                    answer(201, json!({})),
                ),
            ]
        },
        already_there: || {
            let message = "pull request already exists for these targets [id: 1, issue_id: 7, head_repo_id: 1, base_repo_id: 1, head_branch: pillion/next/log/main, base_branch: main]";
            answer(409, json!({"message": message, "url": "https://git.acme.example/api/swagger"}))
        },
        error: |message| json!({"message": message, "url": "https://git.acme.example/api/swagger"}),
        permission: "the scopes `write:repository` and `write:issue`",
    }
}

pub(super) fn forgejo() -> Dialect {
    Dialect { provider: GitProvider::Forgejo, label: "Forgejo", ..dialect() }
}

fn item(stored: &Stored) -> Value {
    let is_open = stored.state == PullRequestState::Open;
    // The branch of a merged pull request is usually deleted: then `ref` is that of the server.
    let name = if is_open { stored.head.to_owned() } else { format!("refs/pull/{}/head", stored.number) };
    json!({
        "number": stored.number, "html_url": format!("https://git.acme.example/acme/gitops/pulls/{}", stored.number),
        "title": stored.title, "body": stored.body, "state": if is_open { "open" } else { "closed" },
        "merged": stored.state == PullRequestState::Merged,
        "head": {"label": stored.head, "ref": name, "sha": "4f1c", "repo_id": if stored.is_from_fork { 2 } else { 1 }},
        "base": {"label": "main", "ref": "main", "sha": "1b2c", "repo_id": 1},
    })
}

#[test]
fn a_server_with_small_pages_is_read_to_its_end() {
    let other = (dialect().item)(&Stored { head: "feature", ..Stored::new("t", "b") });
    let found = (dialect().item)(&Stored::new("t", "b"));
    let server = Scripted::new([
        dialect().list(vec![other.clone(); 2]),
        dialect().list(vec![other; 2]),
        dialect().list(vec![found]),
    ]);
    assert!(dialect().connect(&server).find(HEAD, "main").unwrap().is_some());
    assert_eq!(server.asked().len(), 3);
}
