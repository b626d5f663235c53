using System;
using System.Collections.Generic;
using System.Text;

namespace RetrievalEngine.Text;

/// <summary>A piece of a normalised text: what the model sees at once, or an added token that was found there.</summary>
/// <param name="Start">First UTF-16 unit.</param>
/// <param name="End">Behind the last one.</param>
/// <param name="AddedId">The added token's id; -1 for text.</param>
internal readonly record struct TextPiece(int Start, int End, int AddedId = -1);

/// <summary>The pieces of a text while they are split further, and scratch space for it.</summary>
internal sealed class PieceLists
{
    public List<TextPiece> Current { get; private set; } = [];

    public List<TextPiece> Next { get; private set; } = [];

    public List<SplitMatch> Parts { get; } = [];

    /// <summary>Makes <see cref="Next"/> the current list.</summary>
    public void Swap()
    {
        (Current, Next) = (Next, Current);
        Next.Clear();
    }
}

/// <summary>Splits pieces into smaller ones; added tokens stay.</summary>
internal abstract class PreTokenizer
{
    /// <summary>Whether text on both sides of a space behind a letter can be split apart, provided that some step separates the two.</summary>
    public virtual bool IsLocal => false;

    /// <summary>Whether no piece crosses the place in front of a space that follows a letter.</summary>
    public virtual bool SeparatesSpaces => false;

    /// <summary>Whether original positions decide something.</summary>
    public virtual bool NeedsAlignment => false;

    /// <summary>Splits <paramref name="pieces"/> of <paramref name="text"/>.</summary>
    public abstract void Apply(NormalizedText text, PieceLists pieces);
}

/// <summary>What becomes of what a pattern matched.</summary>
internal enum SplitBehavior
{
    Removed,
    Isolated,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous,
}

/// <summary>Splits by a pattern.</summary>
internal sealed class SplitPreTokenizer(SplitPattern pattern, SplitBehavior behavior, bool invert) : PreTokenizer
{
    public override bool IsLocal => pattern.IsLocal;

    public override bool SeparatesSpaces => pattern.SeparatesSpaces && (behavior is SplitBehavior.Isolated or SplitBehavior.Removed);

    public override void Apply(NormalizedText text, PieceLists pieces)
    {
        foreach (TextPiece piece in pieces.Current)
        {
            if (piece.AddedId >= 0)
            {
                pieces.Next.Add(piece);
            }
            else if (pattern is GptPattern scanner && behavior == SplitBehavior.Isolated)
            {
                scanner.Split(text.Text[piece.Start..piece.End], piece.Start, pieces.Next);
            }
            else
            {
                pieces.Parts.Clear();
                pattern.Find(text.Text[piece.Start..piece.End], pieces.Parts);
                Split(pieces.Parts, piece.Start, pieces.Next);
            }
        }

        pieces.Swap();
    }

    private void Split(List<SplitMatch> parts, int offset, List<TextPiece> pieces)
    {
        int first = pieces.Count;
        for (int i = 0; i < parts.Count; i++)
        {
            SplitMatch part = parts[i];
            bool match = part.IsMatch != invert;
            bool previous = i > 0 && parts[i - 1].IsMatch != invert;
            bool join = pieces.Count > first && behavior switch
            {
                SplitBehavior.Contiguous => match == previous,
                SplitBehavior.MergedWithPrevious => match && !previous,
                SplitBehavior.MergedWithNext => !match && previous && parts[i - 1].End > parts[i - 1].Start,
                _ => false,
            };
            if (join)
            {
                pieces[^1] = pieces[^1] with { End = offset + part.End };
            }
            else if (!(match && behavior == SplitBehavior.Removed) && part.End > part.Start)
            {
                pieces.Add(new(offset + part.Start, offset + part.End));
            }
        }
    }
}

/// <summary>Puts a space in front of each piece that does not begin with one.</summary>
internal sealed class PrefixSpacePreTokenizer : PreTokenizer
{
    public override bool IsLocal => true;

    public override void Apply(NormalizedText text, PieceLists pieces)
    {
        ReadOnlySpan<char> source = text.Text;
        if (pieces.Current.TrueForAll(p => p.AddedId >= 0 || text.Text[p.Start] == ' ')) return;
        text.BeginEdit();
        foreach (TextPiece piece in pieces.Current)
        {
            int start = text.EditLength;
            if (piece.AddedId < 0 && source[piece.Start] != ' ') text.Append(' ', piece.Start);
            text.AppendUnchanged(piece.Start, piece.End);
            pieces.Next.Add(new(start, text.EditLength, piece.AddedId));
        }

        text.EndEdit();
        pieces.Swap();
    }
}

/// <summary>SentencePiece's way: spaces become a visible character, which begins a piece.</summary>
/// <param name="replacement">The visible character, usually ▁.</param>
/// <param name="prepend">Whether a piece that does not begin with it gets one in front: always, only at the text's beginning, never.</param>
/// <param name="split">Whether to split in front of each.</param>
internal sealed class MetaspacePreTokenizer(Rune replacement, MetaspacePrepend prepend, bool split) : PreTokenizer
{
    // What follows such a place begins with a space, so nothing is put in front of it.
    public override bool IsLocal => true;

    public override bool SeparatesSpaces => split;

    public override bool NeedsAlignment => prepend == MetaspacePrepend.First;

    public override void Apply(NormalizedText text, PieceLists pieces)
    {
        ReadOnlySpan<char> source = text.Text;
        text.BeginEdit();
        foreach (TextPiece piece in pieces.Current)
        {
            int start = text.EditLength;
            if (piece.AddedId >= 0)
            {
                text.AppendUnchanged(piece.Start, piece.End);
                pieces.Next.Add(new(start, text.EditLength, piece.AddedId));
                continue;
            }

            int first = NormalizedText.CodePointAt(source, piece.Start, out _);
            bool begun = first == ' ' || first == replacement.Value;
            bool wanted = prepend == MetaspacePrepend.Always
                || (prepend == MetaspacePrepend.First && text.Original(piece.Start, piece.End).Start == 0);
            if (wanted && !begun) text.Append(replacement.Value, piece.Start);
            for (int i = piece.Start, units; i < piece.End; i += units)
            {
                int c = NormalizedText.CodePointAt(source, i, out units);
                if (c == ' ') c = replacement.Value;
                if (split && c == replacement.Value && text.EditLength > start)
                {
                    pieces.Next.Add(new(start, text.EditLength));
                    start = text.EditLength;
                }

                text.Append(c, i);
            }

            pieces.Next.Add(new(start, text.EditLength));
        }

        text.EndEdit();
        pieces.Swap();
    }
}

/// <summary>Where <see cref="MetaspacePreTokenizer"/> puts its character in front.</summary>
internal enum MetaspacePrepend
{
    First,
    Never,
    Always,
}
