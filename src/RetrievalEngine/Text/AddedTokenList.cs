using System;
using System.Collections.Generic;

namespace RetrievalEngine.Text;

/// <summary>Gives added tokens their ids.</summary>
internal static class AddedTokenList
{
    /// <summary>
    /// The tokens, each once, the last definition of a text counting: with the vocabulary's id where it has them, else the id given, else the next
    /// one that is free.
    /// </summary>
    public static AddedToken[] Make(IEnumerable<(int? Id, AddedToken Token)> tokens, Vocabulary vocabulary)
    {
        Dictionary<string, AddedToken> added = new(StringComparer.Ordinal);
        int next = vocabulary.Count;
        foreach ((int? given, AddedToken token) in tokens)
        {
            if (token.Content.Length == 0) continue;
            int id = added.TryGetValue(token.Content, out AddedToken? earlier) ? earlier.Id : vocabulary.IdOf(token.Content);
            if (id < 0) id = given ?? next;
            next = Math.Max(next, id + 1);
            added[token.Content] = token with { Id = id };
        }

        return [.. added.Values];
    }
}
