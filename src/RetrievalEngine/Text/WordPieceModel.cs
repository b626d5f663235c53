using System;
using System.Collections.Generic;

namespace RetrievalEngine.Text;

/// <summary>WordPiece (BERT): the longest token that fits, again and again; a word that cannot be covered is the unknown token.</summary>
internal sealed class WordPieceModel : TokenModel
{
    private readonly int _unknown;
    private readonly int _maxCodePoints;
    private readonly Dictionary<string, int> _continuing = [];
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _continuingLookup;

    /// <summary>A model over <paramref name="vocabulary"/>.</summary>
    /// <param name="vocabulary">Tokens; those inside a word carry <paramref name="prefix"/>.</param>
    /// <param name="unknownId">The id for a word that cannot be covered.</param>
    /// <param name="prefix">Usually <c>##</c>.</param>
    /// <param name="maxCodePoints">Longer words are unknown at once.</param>
    public WordPieceModel(Vocabulary vocabulary, int unknownId, string prefix, int maxCodePoints)
    {
        Vocabulary = vocabulary;
        _unknown = unknownId;
        _maxCodePoints = maxCodePoints;
        foreach ((string token, int id) in vocabulary.Tokens)
        {
            if (token.StartsWith(prefix, StringComparison.Ordinal)) _continuing[token[prefix.Length..]] = id;
        }

        _continuingLookup = _continuing.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    public override Vocabulary Vocabulary { get; }

    public override void Tokenize(ReadOnlySpan<char> piece, List<TokenSpan> tokens)
    {
        int before = tokens.Count;
        bool covered = piece.Length <= _maxCodePoints || CodePoints(piece) <= _maxCodePoints;
        for (int start = 0; covered && start < piece.Length;)
        {
            int end = Math.Min(piece.Length, start + Vocabulary.LongestToken);
            int id = -1;
            while (end > start)
            {
                ReadOnlySpan<char> candidate = piece[start..end];
                if (start == 0) id = Vocabulary.IdOf(candidate);
                else if (!_continuingLookup.TryGetValue(candidate, out id)) id = -1;
                if (id >= 0) break;
                end -= end - start > 1 && char.IsLowSurrogate(piece[end - 1]) && char.IsHighSurrogate(piece[end - 2]) ? 2 : 1;
            }

            covered = id >= 0;
            if (covered) tokens.Add(new(id, start, end));
            start = end;
        }

        if (covered) return;
        tokens.RemoveRange(before, tokens.Count - before);
        tokens.Add(new(_unknown, 0, piece.Length));
    }

    private static int CodePoints(ReadOnlySpan<char> text)
    {
        int count = 0;
        for (int i = 0; i < text.Length; count++)
        {
            NormalizedText.CodePointAt(text, i, out int units);
            i += units;
        }

        return count;
    }
}
