using System;
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace RetrievalEngine.Cli;

/// <summary>Help lists the verbs below a verb with the first sentence of theirs; a verb's own help is whole.</summary>
internal sealed class VerbHelp(HelpAction help) : SynchronousCommandLineAction
{
    /// <summary>Puts it in the place of the <c>--help</c> of <paramref name="root"/>.</summary>
    public static void Install(RootCommand root)
    {
        foreach (Option option in root.Options)
            if (option is HelpOption { Action: HelpAction help }) option.Action = new VerbHelp(help);
    }

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        foreach (Command verb in parseResult.CommandResult.Command.Subcommands) verb.Description = FirstSentence(verb.Description ?? "");
        return help.Invoke(parseResult);
    }

    private static string FirstSentence(string text)
    {
        string paragraph = text.Split("\n\n", 2)[0].ReplaceLineEndings(" ");
        int end = paragraph.IndexOf(". ", StringComparison.Ordinal);
        return end < 0 ? paragraph : paragraph[..(end + 1)];
    }
}
