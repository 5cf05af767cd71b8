// Follows a plan, and changes a budget, with Automerge for Swift (https://github.com/automerge/automerge-swift, 0.6).
//
//     swift run Plan                      prints the positions whenever they change
//     swift run Plan 28f6d1a4b9c073 42    sets a budget, and ends when the server has stored it
//
// One WebSocket carries one document, and every binary frame is one sync message: see docs/sync.md.

import Automerge
import Foundation

let environment = ProcessInfo.processInfo.environment
let arguments = CommandLine.arguments
var request = URLRequest(url: URL(string: (environment["HAPPIERWORK_SYNC"] ?? "ws://127.0.0.1:8000") + "/sync/default")!)
if let token = environment["HAPPIERWORK_TOKEN"] {
    request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
}
let socket = URLSession.shared.webSocketTask(with: request)
// A plan of 100,000 positions arrives in one message. The default limit is 1 MiB.
socket.maximumMessageSize = 256 << 20
socket.resume()

let document = Document()
let state = SyncState()
var edited: Set<ChangeHash>?

func send() async throws {
    while let message = document.generateSyncMessage(state: state) {
        try await socket.send(.data(message))
    }
}

func map(_ value: Value?) -> ObjId? {
    guard case let .Object(id, .Map)? = value else { return nil }
    return id
}

func printPositions() throws {
    guard let positions = map(try document.get(obj: .ROOT, key: "positions")) else { return }
    for id in document.keys(obj: positions) {
        guard let row = map(try document.get(obj: positions, key: id)) else { continue }
        print(id, try document.get(obj: row, key: "designation") as Any, try document.get(obj: row, key: "budget") as Any)
    }
}

/// Assigns fields, and never a whole position: a concurrent edit of another field then stays.
func setBudget(of id: String, to budget: Double) throws {
    guard let positions = map(try document.get(obj: .ROOT, key: "positions")),
          let row = map(try document.get(obj: positions, key: id)) else { return }
    try document.put(obj: row, key: "budget", value: .F64(budget))
    try document.put(obj: row, key: "updatedAt", value: .Timestamp(Date()))
    edited = document.heads()
}

try await send()
while case let .data(message) = try await socket.receive() {
    try document.receiveSyncMessage(state: state, message: message)
    if arguments.count < 3 {
        try printPositions()
    } else if edited == nil, let budget = Double(arguments[2]) {
        try setBudget(of: arguments[1], to: budget)
    }
    try await send()
    // Heads that the server names are on its disk.
    if let edited, state.theirHeads == edited { break }
}
socket.cancel(with: .normalClosure, reason: nil)
