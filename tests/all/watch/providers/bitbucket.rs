//! The words of Bitbucket Cloud and Bitbucket Data Center.

use super::*;

pub(super) fn cloud() -> Dialect {
    Dialect {
        provider: GitProvider::Bitbucket,
        label: "Bitbucket Cloud",
        remote: "git@bitbucket.org:acme/gitops.git",
        api_path: "/2.0",
        authorization: "Bearer s3cr3t",
        web_address: "https://bitbucket.org/acme/gitops/pull-requests/7",
        item: cloud_item,
        page: |items, has_more| {
            // The address of the next page leads to another server, and is not followed.
            let next = has_more.then_some("https://mallory.example/2.0/?page=2");
            json!({"values": items, "page": 1, "pagelen": 5, "next": next})
        },
        pages_to_end: 1,
        page_size: 5,
        list_open: "/repositories/acme/gitops/pullrequests?state=OPEN&q=source.branch.name%3D%22pillion%2Fnext%2Flog%2Fmain%22%20AND%20destination.branch.name%3D%22main%22&sort=-created_on&pagelen=5&page=1",
        list_all_second: "/repositories/acme/gitops/pullrequests?state=OPEN&state=MERGED&state=DECLINED&state=SUPERSEDED&q=source.branch.name%3D%22pillion%2Fnext%2Flog%2Fmain%22%20AND%20destination.branch.name%3D%22main%22&sort=-created_on&pagelen=5&page=2",
        create: ("POST /repositories/acme/gitops/pullrequests", || {
            json!({
                "source": {"branch": {"name": HEAD}}, "destination": {"branch": {"name": "main"}},
                "title": "log: batch 2/3", "description": BODY, "close_source_branch": true,
            })
        }),
        update: (
            "PUT /repositories/acme/gitops/pullrequests/7",
            || json!({"title": "log: batch 2/3", "description": BODY}),
        ),
        updated_status: 200,
        close: || {
            vec![
                (
                    "POST /repositories/acme/gitops/pullrequests/7/decline",
                    Value::Null,
                    answer(200, json!({})),
                ),
                (
                    "POST /repositories/acme/gitops/pullrequests/7/comments",
                    json!({"content": {"raw": "the rollout was paused"}}),
                    answer(201, json!({})),
                ),
            ]
        },
        already_there: || {
            let message = "There is already an open pull request: it already exists for this branch";
            answer(409, json!({"type": "error", "error": {"message": message}}))
        },
        error: |message| json!({"type": "error", "error": {"message": message}}),
        permission: "`pullrequest:write`",
    }
}

fn cloud_item(stored: &Stored) -> Value {
    let state = match stored.state {
        PullRequestState::Open => "OPEN",
        PullRequestState::Merged => "MERGED",
        PullRequestState::Declined => "SUPERSEDED",
    };
    let owner = if stored.is_from_fork { "mallory" } else { "acme" };
    json!({
        "id": stored.number, "title": stored.title, "description": stored.body, "state": state,
        "links": {"html": {"href": format!("https://bitbucket.org/acme/gitops/pull-requests/{}", stored.number)}},
        "source": {
            "branch": {"name": stored.head}, "commit": {"hash": "4f1c"},
            "repository": {"full_name": format!("{owner}/gitops")},
        },
        "destination": {"branch": {"name": "main"}, "repository": {"full_name": "acme/gitops"}},
    })
}

pub(super) fn data_center() -> Dialect {
    Dialect {
        provider: GitProvider::BitbucketDataCenter,
        label: "Bitbucket Data Center",
        remote: "https://bitbucket.acme.example/scm/OPS/gitops.git",
        api_path: "/rest/api/latest",
        authorization: "Bearer s3cr3t",
        web_address: "https://bitbucket.acme.example/projects/OPS/repos/gitops/pull-requests/7",
        item: data_center_item,
        page: |items, has_more| json!({"values": items, "isLastPage": !has_more, "limit": 10, "start": 0}),
        pages_to_end: 1,
        page_size: 10,
        list_open: "/projects/OPS/repos/gitops/pull-requests?state=OPEN&direction=OUTGOING&at=refs/heads/pillion/next/log/main&order=NEWEST&limit=10&start=0",
        list_all_second: "/projects/OPS/repos/gitops/pull-requests?state=ALL&direction=OUTGOING&at=refs/heads/pillion/next/log/main&order=NEWEST&limit=10&start=10",
        create: ("POST /projects/OPS/repos/gitops/pull-requests", || {
            let at = |branch: &str| json!({"id": format!("refs/heads/{branch}"), "repository": {"slug": "gitops", "project": {"key": "OPS"}}});
            json!({"title": "log: batch 2/3", "description": BODY, "fromRef": at(HEAD), "toRef": at("main")})
        }),
        update: (
            "PUT /projects/OPS/repos/gitops/pull-requests/7",
            || json!({"version": 3, "title": "log: batch 2/3", "description": BODY}),
        ),
        updated_status: 200,
        close: || {
            vec![
                (
                    "GET /projects/OPS/repos/gitops/pull-requests/7",
                    Value::Null,
                    answer(200, json!({"id": 7, "version": 4})),
                ),
                (
                    "POST /projects/OPS/repos/gitops/pull-requests/7/decline?version=4",
                    json!({"version": 4}),
                    answer(200, json!({})),
                ),
                (
                    "POST /projects/OPS/repos/gitops/pull-requests/7/comments",
                    json!({"text": "the rollout was paused"}),
                    answer(201, json!({})),
                ),
            ]
        },
        already_there: || {
            let message = "Only one pull request may be open for a given source and target branch";
            let name = "com.atlassian.bitbucket.pull.DuplicatePullRequestException";
            let error = json!({"context": null, "message": message, "exceptionName": name});
            answer(409, json!({"errors": [error]}))
        },
        error: |message| json!({"errors": [{"context": null, "message": message}]}),
        permission: "an HTTP access token with the permission to write to the repository",
    }
}

fn data_center_item(stored: &Stored) -> Value {
    let state = match stored.state {
        PullRequestState::Open => "OPEN",
        PullRequestState::Merged => "MERGED",
        PullRequestState::Declined => "DECLINED",
    };
    let url =
        format!("https://bitbucket.acme.example/projects/OPS/repos/gitops/pull-requests/{}", stored.number);
    json!({
        "id": stored.number, "version": 3, "title": stored.title, "description": stored.body, "state": state,
        "links": {"self": [{"href": url}]},
        "fromRef": {
            "id": format!("refs/heads/{}", stored.head), "displayId": stored.head, "latestCommit": "4f1c",
            "repository": {"id": if stored.is_from_fork { 2 } else { 1 }},
        },
        "toRef": {"id": "refs/heads/main", "displayId": "main", "repository": {"id": 1}},
    })
}

#[test]
fn errors_of_fields_are_read() {
    let fields = json!({"source": ["branch not found"]});
    let body = json!({"type": "error", "error": {"message": "Bad request", "fields": fields}});
    let failure = cloud().refusal(400, &[], &body);
    assert!(failure.message.contains("Bad request; source: branch not found"), "{failure}");
    assert!(failure.is_retryable, "{failure}");
}
