//! GitLab's words: merge requests, and groups in groups.

use super::*;

pub(super) fn dialect() -> Dialect {
    Dialect {
        provider: GitProvider::GitLab,
        label: "GitLab",
        remote: "git@gitlab.com:acme/team/gitops.git",
        api_path: "/api/v4",
        authorization: "Bearer s3cr3t",
        web_address: "https://gitlab.com/acme/team/gitops/-/merge_requests/7",
        item,
        page: |items, _| Value::Array(items),
        pages_to_end: 1,
        page_size: 5,
        list_open: "/projects/acme%2Fteam%2Fgitops/merge_requests?state=opened&source_branch=pillion/next/log/main&target_branch=main&order_by=created_at&sort=desc&per_page=5&page=1",
        list_all_second: "/projects/acme%2Fteam%2Fgitops/merge_requests?state=all&source_branch=pillion/next/log/main&target_branch=main&order_by=created_at&sort=desc&per_page=5&page=2",
        create: ("POST /projects/acme%2Fteam%2Fgitops/merge_requests", || {
            json!({
                "source_branch": HEAD, "target_branch": "main", "title": "log: batch 2/3", "description": BODY,
                "squash": false, "remove_source_branch": true,
            })
        }),
        update: (
            "PUT /projects/acme%2Fteam%2Fgitops/merge_requests/7",
            || json!({"title": "log: batch 2/3", "description": BODY}),
        ),
        updated_status: 200,
        close: || {
            vec![
                (
                    "PUT /projects/acme%2Fteam%2Fgitops/merge_requests/7",
                    json!({"state_event": "close"}),
                    answer(200, json!({})),
                ),
                (
                    "POST /projects/acme%2Fteam%2Fgitops/merge_requests/7/notes",
                    json!({"body": "the rollout was paused"}),
                    answer(201, json!({})),
                ),
            ]
        },
        already_there: || {
            let message = "Another open merge request already exists for this source branch: !7";
            answer(409, json!({"message": [message]}))
        },
        error: |message| json!({"message": message}),
        permission: "the scope `api` and the role Developer",
    }
}

fn item(stored: &Stored) -> Value {
    let state = match stored.state {
        PullRequestState::Open => "opened",
        PullRequestState::Merged => "merged",
        PullRequestState::Declined => "closed",
    };
    json!({
        "id": 4711, "iid": stored.number,
        "web_url": format!("https://gitlab.com/acme/team/gitops/-/merge_requests/{}", stored.number),
        "title": stored.title, "description": stored.body, "state": state, "sha": "4f1c",
        "source_branch": stored.head, "target_branch": "main",
        "source_project_id": if stored.is_from_fork { 2 } else { 1 }, "target_project_id": 1,
    })
}

#[test]
fn errors_of_every_form_are_read() {
    let rows = [
        (401, json!({"message": "401 Unauthorized"}), "does not accept the token (401 Unauthorized)"),
        (
            403,
            json!({"error": "insufficient_scope", "error_description": "The request requires higher privileges than provided by the access token.", "scope": "api"}),
            "set PILLION_PROVIDER_TOKEN to one with the scope `api`",
        ),
        (404, json!({"message": "404 Project Not Found"}), "GitLab has no repository acme/team/gitops"),
        (400, json!({"message": {"title": ["can't be blank"]}}), "(title can't be blank)"),
        (400, json!({"message": ["Source branch \"x\" does not exist"]}), "does not know the head branch"),
        (
            409,
            json!({"message": ["Cannot create: source branch is locked"]}),
            "failed with status 409 (Cannot create: source branch is locked); a retry may succeed",
        ),
    ];
    for (status, body, text) in rows {
        let failure = dialect().refusal(status, &[], &body);
        assert!(failure.message.contains(text), "{failure}");
    }
}

#[test]
fn a_limit_names_its_end_by_the_servers_clock() {
    let headers = [("ratelimit-reset", "1781881230"), ("date", "Fri, 19 Jun 2026 15:00:00 GMT")];
    let limit = dialect().refusal(429, &headers, &json!({"message": "Too many requests"}));
    assert_eq!(limit.retry_after, Some(Duration::from_secs(30)), "{limit}");
}
