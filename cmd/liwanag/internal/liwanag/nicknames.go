package liwanag

import "strings"

// nicknames are groups of given names, folded, that people use for each other.
var nicknames = func() (groups [][]string) {
	for line := range strings.Lines(`
		alexander alex al lex sandy sasha sascha alejandro aleksandr aleksander alexandre oleksandr
		alexandra alex lexi sandra sasha sandy ali alejandra aleksandra
		abigail abby gail
		abraham abe bram
		albert al bert bertie
		alfred al fred alfie
		andrew andy drew andre andreas andrei andrzej
		angela angie
		ann anne anna annie nan nancy hannah ana anya
		anthony tony antonio anton ant toni
		arthur art artie
		barbara barb barbie babs basia
		benjamin ben benny benji
		bernard bernie bernhard
		bradley brad
		caroline carolyn carol carrie caro lina
		catherine katherine kathryn kate katie kathy cathy kat kitty katharina catalina ekaterina katya karin katarina catarina
		charles charlie chuck chas carl karl carlos carlo
		christine christina chris tina chrissy kristin kristina cristina
		christopher chris topher kit christoph christian cristobal kris
		daniel dan danny daniele
		david dave davey davide
		deborah debra deb debbie
		dennis denny denis
		dmitri dmitry dima dmitriy dmytro mitya
		donald don donnie
		dorothy dot dottie dorothea
		douglas doug
		edward ed eddie ted teddy ned eduard eduardo edouard
		eleanor elly ellie nell nora leonora
		elizabeth liz lizzie beth betty eliza elisabeth lisa elise libby bess elisabetta isabel lilibet
		emily em emmy emilia
		evelyn evie
		francis frank fran francesco francisco franz paco pancho francois francesca frances frankie
		franklin frank
		frederick fred freddy friedrich fritz frederic federico
		gabriel gabe gabriele gabriella gabriela gaby
		george jorge georg georges jurgen yuri
		gerald gerry jerry gerhard gerard
		giuseppe beppe pino peppe
		gregory greg gregor gregorio grzegorz
		guillermo memo willy
		harold harry hal
		heinrich heinz henry harry hank henri enrique henrik
		hans johannes johann johan jan
		helen helena elena ellen nell lena
		ignacio nacho
		irina ira
		isabella bella izzy isabel
		jacob jake jakob james jacques
		jacqueline jackie
		james jim jimmy jamie jaime diego santiago
		janet jan
		jeffrey jeff geoffrey geoff
		jennifer jen jenny jenn
		jessica jess jessie
		jesus chuy
		joan joanna jo johanna joanne
		john jack jon johnny jonny juan jean johannes giovanni ivan joao ian sean gianni
		jonathan jon jonny nathan john johnathan
		joseph joe joey jose josef pepe giuseppe jozef josep
		joshua josh
		judith judy judi
		katherine kasia katarzyna
		kenneth ken kenny
		lawrence larry laurence lorenz lorenzo laurent lars
		leonard leo len lenny leonardo leon
		leslie les
		louis lou luis luigi lewis ludwig louie
		louise lou luise luisa
		magdalena magda lena maggie
		margaret maggie meg peggy greta marge margarita rita margot margarete gretchen madge daisy gosia malgorzata
		maria mary marie mia molly polly masha mariya marija maryam
		martha marty
		martin marty martino
		matthew matt matthias mateo matteo mateusz mat mathieu
		maximilian max maxime maximiliano
		maxwell max
		megan meg
		melissa mel missy
		michael mike mick mickey micky miguel mikhail michel michele misha mischa michal mikael
		michelle shelly
		nathaniel nate nathan nat
		nicholas nick nicky nico nicolas nikolaus klaus nikolai niko kolya nicola niklas claus
		nicole nikki nicky
		oliver ollie olivier
		olivia liv livvy
		pamela pam
		patricia pat patty tricia trish patrizia
		patrick pat paddy patricio patryk
		paul pablo paolo pavel pawel pasha
		peter pete petr pedro pierre pietro piotr petra
		philip phil philipp phillip felipe philippe pip
		rafael rafa raphael ralph
		rachel rae raquel
		raymond ray ramon
		rebecca becky becca bec
		richard rick ricky dick rich ricardo richie riccardo
		robert bob bobby rob robbie bert roberto robin
		roberto beto
		ronald ron ronnie
		rosemary rose rosie
		rudolf rudi rolf rudy
		samantha sam sammy
		samuel sam sammy samu
		sarah sara sally sadie
		sebastian seb bastian basti sebastien
		sergey sergei serge sergio serhii
		sophia sophie sofia sonya sofie zofia
		stanislav stas stan stanislaw
		stanley stan
		stefan steven stephen steve stephan esteban stefano stevie stephane steffen
		stephanie steph stefanie stefania
		susan sue susie suzanne susanne susana suzy susanna
		svetlana sveta lana
		tatiana tanya tania tatyana
		teresa theresa terry tess tessa therese
		theodore ted teddy theo theodor teodor fyodor
		thomas tom tommy tomas tommaso thom tomasz
		timothy tim timmy timo
		tobias toby tobi
		valentina valya val tina
		valerie val
		veronica vera ronnie roni veronika
		victor vic viktor vito vitya
		victoria vicky tori viktoria vika
		vincent vince vinny vincenzo vicente
		vladimir vlad vova volodymyr volodya
		walter walt wally
		wilhelm willi willy william helmut
		william will bill billy willie liam guillermo guillaume wil willem
		wolfgang wolf
		yevgeny eugene evgeny zhenya gene evgenii eugen eugenio
		zachary zach zack zac
		александр саша шура алекс
		александра саша шура
		алексей леша алеша
		анастасия настя
		анна аня
		дмитрий дима митя
		евгений женя
		евгения женя
		екатерина катя
		елена лена
		иван ваня
		мария маша
		михаил миша
		наталья наталия наташа
		николай коля
		ольга оля
		павел паша
		сергей сережа
		татьяна таня
		владимир вова володя`) {
		if group := strings.Fields(fold(line)); len(group) > 0 {
			groups = append(groups, group)
		}
	}
	return groups
}()

// particles are small words of family names: they alone are nothing that two names
// share, and one may be left out. roleWords name no person. titleWords belong to no name.
var (
	particles = strings.Fields(fold("van von de der den del della di da do dos das du la le les el al" +
		" bin ibn ben bint af av zu zur zum ter ten" +
		" te e y i und of the d l o st san santa mac mc фон ван де аль ибн"))
	roleWords = strings.Fields(fold("info admin administrator team office sales support contact hello webmaster marketing newsletter" +
		" customer service noreply test tester user" +
		" unknown anonymous guest gmbh inc llc ltd corp corporation company accounts accounting billing" +
		" kontakt equipe equipo team hr jobs careers press media mail email subscriber member none null undefined na firstname lastname name" +
		" studio agency group department club school university association news help helpdesk abuse postmaster reception редакция админ"))
	titleWords = strings.Fields(fold("dr prof professor mr mrs ms miss mx sir madam" +
		" herr frau monsieur madame mme sr sra srta ing dipl phd md mba" +
		" jr junior senior ii iii iv esq dds cpa msc bsc llm rn pe pmp"))
)
