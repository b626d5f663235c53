using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;

namespace RetrievalEngine.Text;

/// <summary>
/// From text to the tokens of one sequence: added tokens as they stand, normaliser, added tokens in normalised text, pre-tokenisers, model.
/// Immutable but for a lock-free cache; thread-safe with a <see cref="TokenBuffer"/> for each thread.
/// </summary>
internal sealed class TokenPipeline
{
    /// <summary>Long texts are read in stretches of about this many UTF-16 units, so that truncation need not read to the end.</summary>
    private const int StretchLength = 4096;

    private readonly Normalizer? _normalizer;
    private readonly PreTokenizer[] _preTokenizers;
    private readonly bool _byteLevel;
    private readonly bool _inStretches;
    private readonly bool _needsAlignment;
    private readonly AddedTokens _raw, _normalized;
    private readonly PieceCache _cache = new();

    /// <summary>Assembles the parts; <paramref name="byteLevel"/>: the model reads pieces in the byte alphabet.</summary>
    public TokenPipeline(Normalizer? normalizer, PreTokenizer[] preTokenizers, bool byteLevel, TokenModel model, AddedToken[] added)
    {
        _normalizer = normalizer;
        _preTokenizers = preTokenizers;
        _byteLevel = byteLevel;
        Model = model;
        List<(string Pattern, AddedToken Token)> raw = [], normalized = [];
        foreach (AddedToken token in added)
        {
            AddedById[token.Id] = token;
            if (token.Normalized) normalized.Add((Normalize(token.Content), token));
            else raw.Add((token.Content, token));
        }

        _raw = new(raw);
        _normalized = new(normalized);
        _needsAlignment = Array.Exists(preTokenizers, p => p.NeedsAlignment);
        _inStretches = normalizer is null or { IsLocal: true } && _normalized.IsLocal
            && Array.TrueForAll(preTokenizers, p => p.IsLocal) && Array.Exists(preTokenizers, p => p.SeparatesSpaces);
    }

    /// <summary>The model.</summary>
    public TokenModel Model { get; }

    /// <summary>Added tokens by id.</summary>
    public Dictionary<int, AddedToken> AddedById { get; } = [];

    /// <summary>
    /// Appends the tokens of <paramref name="text"/> to <paramref name="output"/>, stopping soon after <paramref name="limit"/> of them.
    /// </summary>
    public void Encode(ReadOnlySpan<char> text, int limit, TokenBuffer output)
    {
        int position = 0, search = 0;
        while (position < text.Length && output.Count < limit)
        {
            int end = _inStretches ? StretchEnd(text, position) : text.Length;
            bool found = _raw.TryFind(text, ref search, end, position, out AddedMatch match);
            int plainEnd = found ? match.Start : end;
            if (plainEnd > position) EncodePlain(text[position..plainEnd], position, limit, output);
            position = plainEnd;
            if (!found) continue;
            if (output.Tracked) output.Add(match.Token.Id, text[match.Start..match.End].ToString(), (match.Start, match.End));
            else output.Add(match.Token.Id);
            position = match.End;
        }
    }

    /// <summary>
    /// Where a stretch can end: in front of a space that follows a letter, digit or ASCII character which no normaliser changes. There local
    /// pre-tokenisers have a boundary, and none puts a space in front of what follows, since it begins with one.
    /// </summary>
    private static int StretchEnd(ReadOnlySpan<char> text, int position)
    {
        for (int i = position + StretchLength; i < text.Length; i++)
        {
            int space = text[i..].IndexOf(' ');
            if (space < 0) break;
            i += space;
            char before = text[i - 1];
            if ((char.IsLetterOrDigit(before) || before is > ' ' and < '\x7F') && UnicodeTables.IsStable(before)) return i;
        }

        return text.Length;
    }

    private string Normalize(string content)
    {
        NormalizedText text = new();
        text.Reset(content, 0, track: false);
        _normalizer?.Apply(text);
        return text.Text.ToString();
    }

    private void EncodePlain(ReadOnlySpan<char> plain, int origin, int limit, TokenBuffer output)
    {
        NormalizedText text = output.Text;
        text.Reset(plain, origin, output.Tracked || _needsAlignment);
        _normalizer?.Apply(text);
        PieceLists pieces = output.Pieces;
        pieces.Current.Clear();
        FindNormalized(text.Text, pieces.Current);
        foreach (PreTokenizer preTokenizer in _preTokenizers) preTokenizer.Apply(text, pieces);
        foreach (TextPiece piece in CollectionsMarshal.AsSpan(pieces.Current))
        {
            if (output.Count >= limit) return;
            if (piece.AddedId < 0)
            {
                EncodePiece(text, piece, limit, output);
            }
            else if (output.Tracked)
            {
                output.Add(piece.AddedId, text.Text[piece.Start..piece.End].ToString(), text.Original(piece.Start, piece.End));
            }
            else
            {
                output.Add(piece.AddedId);
            }
        }
    }

    private void FindNormalized(ReadOnlySpan<char> text, List<TextPiece> pieces)
    {
        int position = 0, search = 0;
        while (_normalized.TryFind(text, ref search, text.Length, position, out AddedMatch match))
        {
            if (match.Start > position) pieces.Add(new(position, match.Start));
            pieces.Add(new(match.Start, match.End, match.Token.Id));
            position = match.End;
        }

        if (position < text.Length) pieces.Add(new(position, text.Length));
    }

    private void EncodePiece(NormalizedText text, TextPiece piece, int limit, TokenBuffer output)
    {
        for (int start = piece.Start; start < piece.End && output.Count < limit;)
        {
            ReadOnlySpan<char> rest = text.Text[start..piece.End];
            ReadOnlySpan<char> stretch = _byteLevel ? rest : rest[..Model.StretchLength(rest)];
            ReadOnlySpan<TokenSpan> spans = _cache.Find(stretch, out int slot);
            if (spans.IsEmpty)
            {
                output.Spans.Clear();
                Tokenize(stretch, output.Spans);
                _cache.Add(stretch, slot, output.Spans);
                spans = CollectionsMarshal.AsSpan(output.Spans);
            }

            foreach (TokenSpan span in spans)
            {
                if (output.Tracked) output.Add(span.Id, Model.Vocabulary.TokenOf(span.Id)!, text.Original(start + span.Start, start + span.End));
                else output.Add(span.Id);
            }

            start += stretch.Length;
        }
    }

    private void Tokenize(ReadOnlySpan<char> piece, List<TokenSpan> spans)
    {
        if (!_byteLevel)
        {
            Model.Tokenize(piece, spans);
            return;
        }

        // One character of the alphabet for each byte of UTF-8, and where in the piece that byte belongs.
        int length = System.Text.Encoding.UTF8.GetByteCount(piece);
        char[] letters = System.Buffers.ArrayPool<char>.Shared.Rent(length);
        int[] bounds = System.Buffers.ArrayPool<int>.Shared.Rent(length * 2);
        int at = 0;
        Span<byte> utf8 = stackalloc byte[4];
        for (int i = 0, units; i < piece.Length; i += units)
        {
            int bytes = new System.Text.Rune(NormalizedText.CodePointAt(piece, i, out units)).EncodeToUtf8(utf8);
            for (int b = 0; b < bytes; b++, at++)
            {
                letters[at] = ByteAlphabet.Characters[utf8[b]];
                bounds[2 * at] = i;
                bounds[(2 * at) + 1] = i + units;
            }
        }

        Model.Tokenize(letters.AsSpan(0, at), spans);
        foreach (ref TokenSpan span in CollectionsMarshal.AsSpan(spans))
        {
            span = new(span.Id, bounds[2 * span.Start], bounds[(2 * span.End) - 1]);
        }

        System.Buffers.ArrayPool<char>.Shared.Return(letters);
        System.Buffers.ArrayPool<int>.Shared.Return(bounds);
    }
}
