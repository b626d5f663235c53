using System;
using System.Collections.Generic;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// One name for one weight. Published checkpoints store the same weight under several names: with the prefix of the class that saved it
/// (<c>model.</c> of <c>*ForCausalLM</c>, <c>bert.</c> of <c>BertFor*</c>, <c>roberta.</c>) or bare, and with TensorFlow's <c>gamma</c> and <c>beta</c> for a
/// LayerNorm's weight and bias. The canonical name is the bare one of the backbone: <c>layers.0.self_attn.q_proj.weight</c>. Names outside the
/// backbone (<c>score.weight</c>, <c>lm_head.weight</c>) stay as they are.
/// </summary>
public sealed class CheckpointNames
{
    private static readonly string[] s_prefixes = ["model.", "bert.", "roberta."];
    private readonly string _where;
    private readonly Dictionary<string, string> _stored;

    private CheckpointNames(string where, Dictionary<string, string> stored)
    {
        _where = where;
        _stored = stored;
    }

    /// <summary>All canonical names.</summary>
    public IReadOnlyCollection<string> Canonical => _stored.Keys;

    /// <summary>The names for what is stored in <paramref name="where"/> (for messages) under <paramref name="storedNames"/>.</summary>
    /// <exception cref="InputException">Two stored names mean the same weight.</exception>
    public static CheckpointNames Create(string where, IEnumerable<string> storedNames)
    {
        ArgumentNullException.ThrowIfNull(storedNames);
        Dictionary<string, string> stored = new(StringComparer.Ordinal);
        foreach (string name in storedNames)
        {
            if (!stored.TryAdd(ToCanonical(name), name))
                throw new InputException($"{where}: tensors \"{stored[ToCanonical(name)]}\" and \"{name}\" are the same weight");
        }

        return new CheckpointNames(where, stored);
    }

    /// <summary>The canonical form of a stored name, of a tensor or a module.</summary>
    public static string ToCanonical(string storedName)
    {
        ArgumentNullException.ThrowIfNull(storedName);
        string name = storedName[PrefixOf(storedName).Length..];
        if (name.EndsWith("LayerNorm.gamma", StringComparison.Ordinal)) return string.Concat(name.AsSpan(0, name.Length - "gamma".Length), "weight");
        if (name.EndsWith("LayerNorm.beta", StringComparison.Ordinal)) return string.Concat(name.AsSpan(0, name.Length - "beta".Length), "bias");
        return name;
    }

    /// <summary>The prefix that <see cref="ToCanonical"/> takes away: <c>model.</c>, <c>bert.</c>, <c>roberta.</c>, or nothing.</summary>
    public static string PrefixOf(string storedName)
    {
        ArgumentNullException.ThrowIfNull(storedName);
        foreach (string prefix in s_prefixes)
        {
            if (storedName.StartsWith(prefix, StringComparison.Ordinal) && storedName.Length > prefix.Length) return prefix;
        }

        return "";
    }

    /// <summary>Whether the weight <paramref name="canonical"/> is there.</summary>
    public bool Contains(string canonical) => _stored.ContainsKey(canonical);

    /// <summary>The name under which the weight <paramref name="canonical"/> is stored.</summary>
    /// <exception cref="InputException">The checkpoint has no such weight.</exception>
    public string StoredName(string canonical) =>
        _stored.TryGetValue(canonical, out string? stored)
            ? stored
            : throw new InputException($"{_where}: the checkpoint has no tensor \"{canonical}\"");
}
