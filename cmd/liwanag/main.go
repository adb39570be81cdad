// Command liwanag turns newsletter sign-ups made with personal e-mail addresses
// into known people and companies.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
)

// grammar is everything that can be typed.
type grammar struct {
	Config config.File `name:"config" env:"LIWANAG_CONFIG" placeholder:"FILE" help:"YAML file with settings."`

	Demo         demoCommand         `cmd:"" help:"Show the whole product in one go, with nothing configured."`
	Serve        serveCommand        `cmd:"" help:"Run the server."`
	Simulate     simulateCommand     `cmd:"" help:"Run a pretended FullEnrich, for tests."`
	Subscribers  subscribersCommand  `cmd:"" help:"Add, list, import, export, enrich and erase subscribers."`
	Views        viewsCommand        `cmd:"" help:"Save filters of subscribers under names."`
	Companies    companiesCommand    `cmd:"" help:"See where subscribers work."`
	Suppressions suppressionsCommand `cmd:"" help:"Addresses and domains that nobody is to bring in again."`
	Runs         runsCommand         `cmd:"" help:"Look at workflow runs, cancel and retry them."`
	Why          whyCommand          `cmd:"" help:"Say in words why something waits, and what frees it."`
	Submissions  submissionsCommand  `cmd:"" help:"Look after paid calls; stop all spending."`
	Credits      creditsCommand      `cmd:"" help:"Show the balance at FullEnrich, and what today cost."`
	Uploads      uploadsCommand      `cmd:"" help:"See the files that were uploaded, and what became of them."`
	Keys         keysCommand         `cmd:"" help:"Make API keys with scopes, and revoke them."`
	Audit        auditCommand        `cmd:"" help:"See who did what by hand."`
	Sources      sourcesCommand      `cmd:"" help:"Look after the endpoints that take webhooks of sign-ups in."`
	Deliveries   deliveriesCommand   `cmd:"" help:"See the webhooks that came in, and replay them."`
	Sinks        sinksCommand        `cmd:"" help:"Look after the addresses that webhooks are sent to, and what was sent."`
	Workflows    workflowsCommand    `cmd:"" help:"Show the workflows' definitions."`
	Enrich       enrichCommand       `cmd:"" help:"Trigger the scheduled batch by hand."`
	Doctor       doctorCommand       `cmd:"" help:"Examine the server and what is around it, and say what to do."`
	Settings     configCommand       `cmd:"" name:"config" help:"Check the settings."`
	Migrate      migrateCommand      `cmd:"" help:"Create the database, or bring its schema up to date."`
	Backup       backupCommand       `cmd:"" help:"Copy the database, as of one moment, whether a server runs or not."`
	Restore      restoreCommand      `cmd:"" help:"Put a backup in the place of the database; nothing is paid for until you release it."`
	Copy         copyCommand         `cmd:"" help:"Move a SQLite database, runs in flight included, to an empty PostgreSQL one."`
	Prune        pruneCommand        `cmd:"" help:"Delete what is older than LIWANAG_RETENTION now, as happens every hour."`
	Completion   completionCommand   `cmd:"" help:"Print a completion script for a shell."`
	Version      versionCommand      `cmd:"" help:"Print the version."`
}

const description = `Turns newsletter sign-ups made with personal e-mail addresses into known people and companies.

Begin with: liwanag demo

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 refused by the server.`

func main() { os.Exit(run(os.Args[1:])) }

// run runs one command and returns the exit code.
func run(args []string) int {
	ctx, forget := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer forget()
	context.AfterFunc(ctx, forget) // the second signal kills
	p := newProgram(ctx)
	parser, err := newParser(&grammar{}, p)
	if err != nil {
		return p.fail(err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		return p.fail(err)
	}
	if err := p.resolveIDs(command); err != nil {
		return p.fail(err)
	}
	if err := command.Run(p); err != nil {
		return p.fail(err)
	}
	return exitDone
}

func newParser(g *grammar, p *program) (*kong.Kong, error) {
	return kong.New(g, append(config.Options(),
		kong.Name("liwanag"), kong.Description(description), kong.Writers(p.out, p.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100, ValueFormatter: describeValue}),
		kong.BindFor(p), // for commands that look at the grammar itself
	)...)
}

// describeValue adds the default where a placeholder hides it.
func describeValue(v *kong.Value) string {
	text := kong.DefaultHelpValueFormatter(v)
	if v.Flag == nil || v.Flag.PlaceHolder == "" || !v.HasDefault || v.Default == "" {
		return text
	}
	return text + " Default: " + v.Default + "."
}
